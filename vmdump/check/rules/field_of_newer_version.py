"""The source sends a nested struct in a newer version, which travels as a field, with a field that is new in it."""

VERDICT = "breaks"
WHY = (
    "The version of a nested struct does not travel by itself. Where the struct around it sends it as a field, the "
    "tests of the nested fields ask for that: a source sends all that its own version has, and a destination of an "
    "older version reads less."
)
EXAMPLE = (
    "asc_mode of esp, which am53c974 of QEMU 11.1 sends (version 8, told in esp.mig_version_id) and that of 10.0 "
    "(version 7) does not read"
)
REMEDY = "Put the field into a subsection that old machine types switch off."
REFERENCES = ("QEMU 10.0.13 hw/scsi/esp-pci.c vmstate_esp_pci_scsi, hw/scsi/esp.c esp_is_version_6",)
MESSAGE = (
    "the source sends {field} ({source}): {description} has version {version} there, as it says in {carrier}; the "
    "destination knows version {local} and does not read it"
)
ERROR = "{missing_footer}"
