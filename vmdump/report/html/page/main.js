/* Filters, keys and printing: what is outside the list and the selected type. */

const status = byId("status");
const filter = { words: [], verdicts: new Set(VERDICTS), direction: null, rule: null };

function applyFilters() {
    const { words, verdicts, direction, rule } = filter;
    const rules = rule === null ? null : raw.rules[rule];
    const isSame = show(entries.filter((entry) => {
        const found = recordsOf(entry, direction);
        return found.length > 0
            && verdicts.has(worstOf(found).verdict)
            && (rules === null || found.some((record) => record.findings.some((index) => raw.findings[index][0] === rules)))
            && (words.length === 0 || found.some((record) => words.every((word) => wordsOf(record).includes(word))));
    }));
    if (isSame && direction !== null && shownWay !== direction) drawDetail(selected, firstWay(selected));
    status.textContent = `${shown.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")} types`
        + (direction === null && !IS_ONE_WAY ? "; signs: forward, backward" : "");
    for (const button of document.querySelectorAll("[data-direction]")) {
        button.setAttribute("aria-pressed", String(Number(button.dataset.direction) === direction));
    }
    for (const button of byId("verdicts").children) {
        button.setAttribute("aria-pressed", String(verdicts.has(button.dataset.verdict)));
    }
}

function setDirection(direction) {
    filter.direction = direction;
    byId("direction").value = direction === null ? "" : direction;
    applyFilters();
}

/* The verdicts that are shown at first: all but those that need no attention, unless nothing else is there. */
const QUIET_VERDICTS = ["accepted", "safe"];

function resetFilters(all = true) {
    search.value = "";
    byId("rule").value = "";
    filter.words = [];
    filter.rule = null;
    const present = VERDICTS.filter((verdict, rank) => !QUIET_VERDICTS.includes(verdict) && entries.some((entry) => entry.rank === rank));
    filter.verdicts = new Set(all || present.length === 0 ? VERDICTS : present);
    setDirection(null);
}

function fillFilters() {
    for (const [rank, verdict] of VERDICTS.entries()) {
        const count = entries.filter((entry) => entry.rank === rank).length;
        byId("verdicts").append(make("button", { type: "button", "data-verdict": verdict, class: `toggle ${verdict}`,
            onclick: () => {
                if (!filter.verdicts.delete(verdict)) filter.verdicts.add(verdict);
                applyFilters();
            } }, make("span", { "aria-hidden": "true" }, SIGNS[verdict]), ` ${verdict} `, make("b", {}, count.toLocaleString("en"))));
    }
    byId("direction").append(make("option", { value: "" }, "all"),
        ...DIRECTIONS.map((name, index) => make("option", { value: index }, arrow(name))));
    byId("rule").append(make("option", { value: "" }, "all"), ...RULES.map((name, index) => make("option", { value: index }, name)));
    const chosen = (element) => element.value === "" ? null : Number(element.value);
    byId("direction").addEventListener("change", (event) => setDirection(chosen(event.target)));
    byId("rule").addEventListener("change", (event) => {
        filter.rule = chosen(event.target);
        applyFilters();
    });
    byId("summary").addEventListener("click", (event) => {
        const button = event.target.closest("[data-direction]");
        if (!button) return;
        const direction = Number(button.dataset.direction);
        setDirection(filter.direction === direction ? null : direction);
    });
}

/* #A -> B/TYPE opens that type. */
function openFromAddress() {
    const wanted = wantedByAddress();
    for (const [direction, name] of DIRECTIONS.entries()) {
        if (!wanted.startsWith(`${name}/`)) continue;
        const entry = entries.find((each) => each.type === wanted.slice(name.length + 1) && each.ways.has(direction));
        if (entry) {
            open(entry, direction);
            return;
        }
    }
}

byId("print").addEventListener("click", () => print());
addEventListener("beforeprint", () => drawPrinted(shown));
addEventListener("hashchange", openFromAddress);
fillFilters();
resetFilters(false);
openFromAddress();
