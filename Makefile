# What there is to do, in one place; each target sets up what it needs.

.PHONY: all test test-slow test-all-images test-all-builds test-all-machines corpus check check-ci format sanitize fuzz bench judge dist share packages docs clean

all: .venv/dev
	.venv/bin/vmdump dump -M q35 -o q35.json

.venv/dev: bootstrap pyproject.toml setup.py csrc/ffi_build.py $(shell find csrc -name "*.[ch]") vmdump/include/vmdump/*.h
	./bootstrap --dev
	touch $@

# The test suite without the tests marked slow.
test: .venv/dev
	.venv/bin/pytest

# The tests marked slow, and more examples for the tests of properties.
test-slow: .venv/dev
	.venv/bin/pytest -m "slow or hypothesis" --hypothesis-profile=thorough

# The binaries of every target of Debian's QEMU 5.2, 7.2, 10.0 and 11.1, xen's, and some for AArch64, unpacked and read.
test-all-images: .venv/dev
	.ci/images build/images --all
	VMDUMP_IMAGES=$(CURDIR)/build/images .venv/bin/pytest -m "" tests/sources/test_qemu_image.py tests/emulator/test_boot.py tests/emulator/test_find_migration.py

# A small QEMU, built in every way that vmdump reads: static, with LTO and CFI, and so on. Takes half an hour at first.
test-all-builds: .venv/dev
	.ci/builds build/builds
	VMDUMP_BUILDS=$(CURDIR)/build/builds .venv/bin/pytest -m "" tests/emulator/test_builds.py tests/emulator/test_find_migration.py

# Every machine type of every target of Debian's QEMU 7.2 and 10.0, emulated and run natively: takes hours.
test-all-machines: .venv/dev
	.ci/images build/images --all
	VMDUMP_IMAGES=$(CURDIR)/build/images .venv/bin/python tests/support/all_machines.py

# Every QEMU of Debian's releases, read into build/corpus/data for vmdump query, and build/corpus/site: a GB to download,
# and an hour the first time. BOOT: machine types that are booted for their sections, RAM blocks and properties.
BOOT = default
corpus: .venv/dev
	nice .ci/corpus build/corpus '$(BOOT)'

# Lint, format and types.
check: .venv/dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/clang-format --dry-run --Werror $$(find csrc -name "*.[ch]") tests/csrc/*.c tests/fuzz/*.c tests/fuzz/*.h
	.venv/bin/mypy

# What runs elsewhere: workflows, the action, the GitLab template, the container recipe, scripts.
check-ci:
	.ci/check-ci

format: .venv/dev
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	.venv/bin/clang-format -i $$(find csrc -name "*.[ch]") tests/csrc/*.c tests/fuzz/*.c tests/fuzz/*.h

# The test suite once more, in a copy whose C core is built with ASan and UBSan.
sanitize: .venv/dev
	.ci/sanitize

# What reads hostile binaries and dumps, under libFuzzer (Debian: libclang-rt-dev), each target for so many seconds.
FUZZ_SECONDS = 60
fuzz: .venv/dev
	.ci/fuzz $(FUZZ_SECONDS)

# How fast it is, as ratios within one run, and against the last one; the last table holds it against what was promised.
bench: .venv/dev
	.venv/bin/python bench/compare.py

# How right the checks are, held against real migrations: QEMU's script, vmdump check of binaries (those below
# $VMDUMP_IMAGES, as .ci/images lays them out, else what was read of them) and of dumps.
judge: .venv/dev
	.venv/bin/python tests/support/judge.py

# The source distribution, and the wheel from it.
dist: .venv/dev
	.venv/bin/python -m build --outdir dist

# The man pages and the completions of bash, zsh and fish, as the wheel installs them in share/ of its prefix.
share: .venv/dev
	.venv/bin/python packaging/share.py build/share

# Debian's packages, and the container recipe, built and tried in roots of Debian 13: needs root and debootstrap.
packages:
	.ci/packages build/deb

# The documentation site, build/site/index.html, in an environment of its own, which needs no C core; warnings are errors.
docs: build/docs-env/done
	NO_MKDOCS_2_WARNING=1 build/docs-env/bin/mkdocs build

build/docs-env/done: pyproject.toml
	python3 -m venv build/docs-env
	build/docs-env/bin/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print("\n".join(project["optional-dependencies"]["docs"]))' >build/docs-env/requirements.txt
	build/docs-env/bin/pip install --quiet --disable-pip-version-check --requirement build/docs-env/requirements.txt
	touch $@

clean:
	rm -rf build dist .venv *.egg-info vmdump/_core*.so vmdump/_core.c
