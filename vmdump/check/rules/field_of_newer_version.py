"""The source has a newer version of a nested struct, and sends a field that the destination does not read."""

VERDICT = "breaks"
WHY = (
    "QEMU itself does not send the version of a nested struct. If the enclosing struct sends it as a field, the tests "
    "of the nested fields check it: a source sends every field of its own version, and a destination with an older "
    "version reads fewer."
)
EXAMPLE = (
    "am53c974: QEMU 11.1 sends asc_mode (esp version 8, sent as esp.mig_version_id), which 10.0 (version 7) does not "
    "read"
)
REMEDY = "Move the field to a subsection that old machine types switch off."
REFERENCES = ("QEMU 10.0.13 hw/scsi/esp-pci.c vmstate_esp_pci_scsi, hw/scsi/esp.c esp_is_version_6",)
MESSAGE = (
    "the source sends {field} ({source}) as part of version {version} of {description} (sent as {carrier}); the "
    "destination has version {local} and does not read it"
)
ERROR = "{missing_footer}"
