"""Code that saves and loads a field was compared by what it does with states of a VM."""

VERDICT = "safe"
WHY = (
    "Two VMs of the machine type were booted in the emulator. The state that the source's VM sends at reset, and "
    "states in which bytes of it are changed and which the source's own code accepts and keeps, were loaded by the "
    "destination's code, and saved again: no state was refused, no value was changed. States that differ in other ways "
    "were not tried."
)
EXAMPLE = "the field msix of e1000e, which the code of VMStateInfo 'msix state' saves and loads"
REMEDY = "None needed. To try a state of your own, save the VM and load it (vmdump load)."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state, vmstate_load_state",)
MESSAGE = (
    "under {machine}, the destination's code loads and saves unchanged the state at reset and {count} states "
    "derived from it ({what})"
)
