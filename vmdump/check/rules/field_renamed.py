"""A field has another name; its bytes are the same."""

VERDICT = "safe"
WHY = "Names do not travel."
EXAMPLE = "hpet: num_timers of QEMU 7.2 is num_timers_save in 10.0"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "{field} is called {other} in the destination"
