"""Machine types of QEMU's targets, without versions and with aliases. All targets also have "none".

A dump identifies its target only by the machine type. Source: Debian's QEMU 5.2, 7.2, 10.0 and 11.1;
tests/check/test_sides.py compares the table with the QEMUs that are installed.
"""

from __future__ import annotations

#: Names of machine types by target.
MACHINES: dict[str, frozenset[str]] = {
    target: frozenset(names.split())
    for target, names in (
        (
            "aarch64",
            "akita amd-versal-virt amd-versal2-virt anacapa-bmc ast1030-evb ast1040-evb ast1060-evb ast2500-evb "
            "ast2600-evb ast2700-evb ast2700a0-evb ast2700a1-evb ast2700a2-evb ast2700fc b-l475e-iot01a "
            "bletchley-bmc borzoi bpim2u canon-a1100 catalina-bmc cheetah collie connex cubieboard emcraft-sf2 "
            "fby35 fby35-bmc fp5280g2-bmc fuji-bmc g220a-bmc gb200nvl-bmc highbank imx25-pdk imx8mm-evk "
            "imx8mp-evk integratorcp kudo-bmc kzm lm3s6965evb lm3s811evb mainstone max78000fthr mcimx6ul-evk "
            "mcimx7d-sabre microbit midway mori-bmc mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps2-an511 "
            "mps2-an521 mps3-an524 mps3-an536 mps3-an547 musca-a musca-b1 musicpal n800 n810 netduino2 "
            "netduinoplus2 npcm750-evb npcm845-evb nuri olimex-stm32-h405 orangepi-pc palmetto-bmc "
            "qcom-dc-scm-v1-bmc qcom-firework-bmc quanta-gbs-bmc quanta-gsj quanta-q71l-bmc rainier-bmc raspi0 "
            "raspi1ap raspi2 raspi2b raspi3 raspi3ap raspi3b raspi4b realview-eb realview-eb-mpcore "
            "realview-pb-a8 realview-pbx-a9 romulus-bmc sabrelite sbsa-ref smdkc210 sonorapass-bmc spitz "
            "stm32vldiscovery supermicro-x11spi-bmc supermicrox11-bmc swift-bmc sx1 sx1-v1 tacoma-bmc terrier "
            "tiogapass-bmc tosa verdex versatileab versatilepb vexpress-a15 vexpress-a9 virt witherspoon-bmc "
            "xilinx-zynq-a9 xlnx-versal-virt xlnx-zcu102 yosemitev2-bmc z2",
        ),
        ("alpha", "clipper"),
        (
            "arm",
            "akita anacapa-bmc ast1030-evb ast1040-evb ast1060-evb ast2500-evb ast2600-evb b-l475e-iot01a "
            "bletchley-bmc borzoi bpim2u canon-a1100 catalina-bmc cheetah collie connex cubieboard emcraft-sf2 "
            "fby35 fby35-bmc fp5280g2-bmc fuji-bmc g220a-bmc gb200nvl-bmc highbank imx25-pdk integratorcp "
            "kudo-bmc kzm lm3s6965evb lm3s811evb mainstone max78000fthr mcimx6ul-evk mcimx7d-sabre microbit "
            "midway mori-bmc mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps2-an511 mps2-an521 mps3-an524 "
            "mps3-an536 mps3-an547 musca-a musca-b1 musicpal n800 n810 netduino2 netduinoplus2 npcm750-evb nuri "
            "olimex-stm32-h405 orangepi-pc palmetto-bmc qcom-dc-scm-v1-bmc qcom-firework-bmc quanta-gbs-bmc "
            "quanta-gsj quanta-q71l-bmc rainier-bmc raspi0 raspi1ap raspi2 raspi2b realview-eb realview-eb-mpcore "
            "realview-pb-a8 realview-pbx-a9 romulus-bmc sabrelite smdkc210 sonorapass-bmc spitz stm32vldiscovery "
            "supermicro-x11spi-bmc supermicrox11-bmc swift-bmc sx1 sx1-v1 tacoma-bmc terrier tiogapass-bmc tosa "
            "verdex versatileab versatilepb vexpress-a15 vexpress-a9 virt witherspoon-bmc xilinx-zynq-a9 "
            "yosemitev2-bmc z2",
        ),
        ("avr", "2009 arduino-duemilanove arduino-mega arduino-mega-2560-v3 arduino-uno mega mega2560 uno"),
        ("cris", "axis-dev88"),
        ("hexagon", "V66G_1024 virt"),
        ("hppa", "715 A400 B160L C3700 hppa"),
        ("i386", "isapc microvm pc pc-i440fx pc-q35 q35 x-remote xenfv xenpv"),
        ("loongarch64", "virt"),
        ("m68k", "an5206 mcf5208evb next-cube q800 virt"),
        ("microblaze", "petalogix-ml605 petalogix-s3adsp1800 xlnx-zynqmp-pmu"),
        ("microblazeel", "petalogix-ml605 petalogix-s3adsp1800 xlnx-zynqmp-pmu"),
        ("mips", "malta mipssim"),
        ("mips64", "magnum malta mipssim pica61"),
        ("mips64el", "boston fulong2e fuloong2e loongson3-virt magnum malta mipssim pica61"),
        ("mipsel", "malta mipssim"),
        ("moxie", "moxiesim"),
        ("nios2", "10m50-ghrd nios2-generic-nommu"),
        ("or1k", "or1k-sim virt"),
        (
            "ppc",
            "40p amigaone bamboo g3beige mac99 mpc8544ds pegasos1 pegasos2 ppce500 ppe42_machine ref405ep "
            "sam460ex taihu virtex-ml507",
        ),
        (
            "ppc64",
            "40p amigaone bamboo g3beige mac99 mpc8544ds pegasos1 pegasos2 powernv powernv10 powernv10-rainier "
            "powernv11 powernv8 powernv9 ppce500 ppe42_machine pseries ref405ep sam460ex taihu virtex-ml507",
        ),
        ("riscv32", "amd-microblaze-v-generic opentitan sifive_e sifive_u spike virt"),
        (
            "riscv64",
            "amd-microblaze-v-generic boston-aia k230 microchip-icicle-kit shakti_c sifive_e sifive_u spike "
            "tt-atlantis virt xiangshan-kunminghu",
        ),
        ("rx", "gdbsim-r5f562n7 gdbsim-r5f562n8"),
        ("s390x", "s390-ccw-virtio"),
        ("sh4", "r2d shix"),
        ("sh4eb", "r2d shix"),
        ("sparc", "LX SPARCClassic SPARCbook SS-10 SS-20 SS-4 SS-5 SS-600MP Voyager leon3_generic"),
        ("sparc64", "niagara sun4u sun4v"),
        ("tricore", "KIT_AURIX_TC277_TRB tricore_testboard"),
        ("x86_64", "isapc microvm nitro pc pc-i440fx pc-q35 q35 x-remote xenfv xenpv"),
        ("xtensa", "kc705 kc705-nommu lx200 lx200-nommu lx60 lx60-nommu ml605 ml605-nommu sim virt"),
        ("xtensaeb", "kc705 kc705-nommu lx200 lx200-nommu lx60 lx60-nommu ml605 ml605-nommu sim virt"),
    )
}
