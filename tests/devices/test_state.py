"""Conditions and hooks of the built-in devices, on state as it is in memory."""

from ctypes import POINTER, Structure, addressof, c_int64, cast, pointer

import pytest

from vmdump.devices import (
    ahci,
    e1000,
    fdc,
    fw_cfg,
    hpet,
    ide,
    pci,
    pcie_root_port,
    pckbd,
    pflash_cfi01,
    piix4_pm,
    ps2,
    sd,
    serial,
    smbus_eeprom,
    vga,
)
from vmdump.vmstate import QEMUTimer, VMStateDescription, VMStateFlags


def armed_timer() -> QEMUTimer:
    """An armed timer."""
    timer = QEMUTimer()
    cast(pointer(timer), POINTER(c_int64))[0] = 1_000_000
    return timer


def stopped_timer() -> QEMUTimer:
    """A timer that is not armed."""
    timer = QEMUTimer()
    cast(pointer(timer), POINTER(c_int64))[0] = -1
    return timer


def needed(vmsd: VMStateDescription, state: Structure) -> set[str]:
    """Return the names of the subsections that would be sent. Those without a condition always are."""
    return {sub.name for sub in vmsd.subsections if sub.needed is None or sub.needed(state)}


def test_serial_subsections() -> None:
    """An idle UART sends none; each is sent if its state differs from what the destination assumes."""
    s = serial.SerialState(poll_msl=-1)
    assert needed(serial.vmstate_serial, s) == set()
    s.poll_msl = 0
    s.tsr_retry = 1
    s.timeout_ipending = 1
    s.recv_fifo.num = 3
    assert needed(serial.vmstate_serial, s) == {
        "serial/poll", "serial/tsr", "serial/timeout_ipending", "serial/recv_fifo"
    }  # fmt: skip


def test_serial_thr_ipending() -> None:
    """thr_ipending is sent if its interrupt is enabled and it differs from what the interrupt register implies."""
    sent = {
        (ier, iir, pending): serial.serial_thr_ipending_needed(
            serial.SerialState(ier=ier, iir=iir, thr_ipending=pending)
        )
        for ier in (0, serial.UART_IER_THRI)
        for iir in (0, serial.UART_IIR_THRI)
        for pending in (0, 1)
    }
    assert {case for case, is_sent in sent.items() if is_sent} == {(2, 0, 1), (2, 2, 0)}


def test_serial_timer() -> None:
    """The FIFO timeout is sent if its timer is armed; without a timer it is not."""
    s = serial.SerialState()
    assert not serial.serial_fifo_timeout_timer_needed(s)
    s.fifo_timeout_timer = pointer(stopped_timer())
    assert not serial.serial_fifo_timeout_timer_needed(s)
    s.fifo_timeout_timer = pointer(armed_timer())
    assert serial.serial_fifo_timeout_timer_needed(s)


def test_serial_hooks() -> None:
    """fcr is sent in a member of its own; state of optional subsections starts as absent."""
    s = serial.SerialState(fcr=0xC1)
    assert serial.vmstate_serial.pre_save(s) == 0
    assert s.fcr_vmstate == 0xC1
    assert serial.vmstate_serial.pre_load(s) == 0
    assert (s.thr_ipending, s.poll_msl) == (-1, -1)


@pytest.mark.parametrize(
    ("msr", "phase"),
    [(0x80, 1), (0xC0, 3), (0x00, 2), (0x40, 2), (0xA0, 2), (0xE0, 2)],
)
def test_fdc_phase(msr: int, phase: int) -> None:
    """A phase that follows from the main status register is not sent but restored; any other is sent."""
    source = fdc.FDCtrl(msr=msr, phase=phase)
    assert not fdc.fdc_phase_needed(source)
    source.phase = phase % 3 + 1
    assert fdc.fdc_phase_needed(source)
    destination = fdc.FDCtrl(phase=phase % 3 + 1)
    fdc.vmstate_fdc.pre_load(destination)
    destination.msr = msr
    fdc.vmstate_fdc.post_load(destination, 2)
    assert destination.phase == phase


def test_fdc_digital_output() -> None:
    """The selected drive is sent in the digital output register."""
    source = fdc.FDCtrl(dor=0x0C, cur_drv=1)
    fdc.vmstate_fdc.pre_save(source)
    destination = fdc.FDCtrl(dor_vmstate=source.dor_vmstate, phase=2)
    fdc.vmstate_fdc.post_load(destination, 2)
    assert (source.dor_vmstate, destination.dor, destination.cur_drv, destination.phase) == (0x0D, 0x0C, 1, 2)


def test_fdrive_subsections() -> None:
    """The data rate is always sent; media_changed only for a drive with a medium."""
    assert needed(fdc.vmstate_fdrive, fdc.FDrive()) == {"fdrive/media_rate"}
    full = fdc.FDrive(blk=1, perpendicular=1)
    assert needed(fdc.vmstate_fdrive, full) == {"fdrive/media_rate", "fdrive/media_changed", "fdrive/perpendicular"}
    full.media_changed = 1
    assert "fdrive/media_changed" not in needed(fdc.vmstate_fdrive, full)


@pytest.mark.parametrize(("extended", "pending_tmp"), [(False, 0x03), (True, 0x34)])
def test_kbd_pending(extended: bool, pending_tmp: int) -> None:
    """Pending data is sent in the current bits with the subsection, in the old ones without."""
    s = pckbd.KBDState(extended_state=extended, pending=0x34, outport=pckbd.KBD_OUT_RESET)
    assert pckbd.vmstate_kbd.pre_save(s) == 0
    assert s.pending_tmp == pending_tmp
    assert ("pckbd/extended_state" in needed(pckbd.vmstate_kbd, s)) == extended


def test_kbd_outport() -> None:
    """The output port is sent if it does not follow from the status."""
    for status, outport in ((0x00, 0xCF), (0x01, 0xDF), (0x21, 0xFF)):
        assert not pckbd.kbd_outport_needed(pckbd.KBDState(status=status, outport=outport))
        assert pckbd.kbd_outport_needed(pckbd.KBDState(status=status, outport=outport ^ 0x02))


def test_kbd_throttle_timer() -> None:
    """The subsection has whether the throttle timer was armed."""
    s = pckbd.KBDState(migration_flags=0xFF)
    pckbd.vmstate_kbd_extended_state.pre_save(s)
    assert s.migration_flags == 0
    s.throttle_timer = pointer(armed_timer())
    pckbd.vmstate_kbd_extended_state.pre_save(s)
    assert s.migration_flags == 1


def test_ps2_keyboard_subsections() -> None:
    """A keyboard in its usual state sends none. The reply queue is read through the base class's struct."""
    s = ps2.PS2KbdState()
    s.parent_obj.queue.cwptr = -1
    assert needed(ps2.vmstate_ps2_keyboard, s) == set()
    s.parent_obj.queue.cwptr = 4
    s.ledstate = 2
    s.need_high_bit = True
    assert len(needed(ps2.vmstate_ps2_keyboard, s)) == 3


def test_hpet() -> None:
    """The offset is sent only for a running timer; another number of timers fails the assertion."""
    s = hpet.HPETState(hpet_offset_saved=True, num_timers=3, num_timers_save=3)
    assert needed(hpet.vmstate_hpet, s) == set()
    s.config = hpet.HPET_CFG_ENABLE
    assert needed(hpet.vmstate_hpet, s) == {"hpet/offset"}
    s.hpet_offset_saved = False
    assert needed(hpet.vmstate_hpet, s) == set()
    (validate,) = (field for field in hpet.vmstate_hpet.fields if field.flags & VMStateFlags.MUST_EXIST)
    assert validate.field_exists(s, 2)
    s.num_timers_save = 32
    assert not validate.field_exists(s, 2)


@pytest.mark.parametrize("express", [False, True])
def test_pci_config_space(express: bool) -> None:
    """Exactly one of the two sizes of the config space is sent."""
    s = pci.PCIDevice(cap_present=0x5 if express else 0x1)
    sent = [f.size for f in pci.vmstate_pci_device.fields if f.field_exists and f.field_exists(s, 2)]
    assert sent == [4096 if express else 256]


def test_aer_log() -> None:
    """A log with more errors than room fails the assertion."""
    (validate,) = (f for f in pci.vmstate_pcie_aer_log.fields if f.flags & VMStateFlags.MUST_EXIST)
    assert validate.field_exists(pci.PCIEAERLog(log_num=8, log_max=8), 1)
    assert not validate.field_exists(pci.PCIEAERLog(log_num=9, log_max=8), 1)


def test_root_port_msix() -> None:
    """The root port sends MSI-X if the machine type has it enabled."""
    test = pcie_root_port.vmstate_rp_dev.fields[-1].field_exists
    assert test(pcie_root_port.GenPCIERootPort(migrate_msix=True), 1)
    assert not test(pcie_root_port.GenPCIERootPort(migrate_msix=False), 1)


@pytest.mark.parametrize(
    ("status", "error_status", "sent"), [(0x50, 0, False), (0x58, 0, True), (0x50, 0x10, True), (0x50, 0x08, False)]
)
def test_ide_pio_state(status: int, error_status: int, sent: bool) -> None:
    """A PIO transfer is sent while it runs, or if the bus will retry it."""
    bus = ide.IDEBus(error_status=error_status)
    drive = bus.ifs[0]
    drive.bus = addressof(bus)
    drive.status = status
    assert ide.ide_drive_pio_state_needed(drive) == sent


def test_ide_others() -> None:
    """The drive's identity, trays, events, errors and the bus master's status are each sent if not in the default
    state.
    """
    drive = ide.IDEState()
    assert not ide.is_identify_set(drive, 3)
    assert not ide.ide_tray_state_needed(drive)
    assert not ide.ide_atapi_gesn_needed(drive)
    drive.identify_set = drive.tray_locked = drive.events.new_media = 1
    assert ide.is_identify_set(drive, 3)
    assert ide.ide_tray_state_needed(drive)
    assert ide.ide_atapi_gesn_needed(drive)
    assert needed(ide.vmstate_ide_bus, ide.IDEBus(error_status=1)) == {"ide_bus/error"}
    assert needed(ide.vmstate_bmdma, ide.BMDMAState(status=0x07)) == set()
    assert needed(ide.vmstate_bmdma, ide.BMDMAState(status=0x40, cur_prd_len=1)) == {
        "ide bmdma/status",
        "ide bmdma_current",
    }


def test_ahci_ports() -> None:
    """The number of ports is at the offset to which the array of ports refers."""
    dev = ahci.vmstate_ahci.fields[0]
    assert dev.num_offset == ahci.AHCIState.ports.offset
    assert dev.offset == ahci.AHCIState.dev.offset


def test_e1000() -> None:
    """An instance id is present only in version 1; machine type flags enable subsections."""
    unused = e1000.vmstate_e1000.fields[1]
    assert unused.field_exists(e1000.E1000State(), 1)
    assert not unused.field_exists(e1000.E1000State(), 2)
    assert needed(e1000.vmstate_e1000, e1000.E1000State()) == {"e1000/mit_state"}
    s = e1000.E1000State(compat_flags=0x0C)
    assert needed(e1000.vmstate_e1000, s) == {"e1000/mit_state", "e1000/full_mac_state", "e1000/tx_tso_state"}
    e1000.vmstate_e1000_tx_tso_state.post_load(s, 1)
    assert s.received_tx_tso


def test_piix4_pm() -> None:
    """With the hotplug bridge all buses' status is sent, without it the default bus's; memory and CPUs likewise."""
    s = piix4_pm.PIIX4PMState()

    def sent() -> list[str]:
        fields = piix4_pm.vmstate_acpi.fields
        return [f.name.removeprefix("acpi_pci_hotplug.") for f in fields if f.field_exists and f.field_exists(s, 3)]

    assert sent() == ["smb", "acpi_pcihp_pci_status[0x0]"]
    s.acpi_pci_hotplug.use_acpi_hotplug_bridge = True
    assert sent() == ["smb", "hotplug_select", "acpi_pcihp_pci_status", "acpi_index"]
    s.not_migrate_acpi_index = True
    assert sent() == ["smb", "hotplug_select", "acpi_pcihp_pci_status"]
    assert needed(piix4_pm.vmstate_acpi, s) == {"piix4_pm/cpuhp"}
    s.cpu_hotplug_legacy = s.acpi_memory_hotplug.is_enabled = True
    assert needed(piix4_pm.vmstate_acpi, s) == {"piix4_pm/memhp"}


def test_smbus_eeprom() -> None:
    """An EEPROM that was not accessed, and has no transfer in progress, has no section."""
    eeprom = smbus_eeprom.SMBusEEPROMDevice()
    condition = smbus_eeprom.vmstate_smbus_eeprom.needed
    assert not condition(eeprom)
    eeprom.accessed = True
    assert condition(eeprom)
    eeprom.accessed = False
    eeprom.smbusdev.mode = -1
    assert condition(eeprom)


def test_fw_cfg() -> None:
    """The sizes are sent unless all are whole pages; the narrow offset is read only in version 1."""
    s = fw_cfg.FWCfgState(acpi_mr_restore=True, table_mr_size=1 << 17, linker_mr_size=1 << 16, rsdp_mr_size=1 << 16)
    assert needed(fw_cfg.vmstate_fw_cfg, s) == set()
    s.rsdp_mr_size = 0x1001
    s.dma_enabled = True
    assert needed(fw_cfg.vmstate_fw_cfg, s) == {"fw_cfg/acpi_mr", "fw_cfg/dma"}
    s.acpi_mr_restore = False
    assert needed(fw_cfg.vmstate_fw_cfg, s) == {"fw_cfg/dma"}
    narrow = fw_cfg.vmstate_fw_cfg.fields[1]
    assert (narrow.info.name, narrow.field_exists(s, 1), narrow.field_exists(s, 2)) == ("int32_as_uint16", True, False)


def test_vga_endian() -> None:
    """The byte order of the frame buffer is sent if it is not the default."""
    assert needed(vga.vmstate_vga_common, vga.VGACommonState(big_endian_fb=True)) == {"vga.endian"}
    assert needed(vga.vmstate_vga_common, vga.VGACommonState(big_endian_fb=True, default_endian_fb=True)) == set()


def test_pflash_block_write() -> None:
    """A block write is sent while in progress; otherwise blk_offset is all ones."""
    assert needed(pflash_cfi01.vmstate_pflash, pflash_cfi01.PFlashCFI01(blk_offset=-1)) == set()
    assert needed(pflash_cfi01.vmstate_pflash, pflash_cfi01.PFlashCFI01()) == {"pflash_cfi01_blk_write"}


def test_sd_power_up() -> None:
    """A card is powered up unless the subsection is received, which is sent for one that is not."""
    card = sd.SDState(ocr=0x00FFFF00)
    assert sd.sd_ocr_vmstate_needed(card)
    sd.sd_vmstate.pre_load(card)
    assert card.ocr == 0x80FFFF00
    assert not sd.sd_ocr_vmstate_needed(card)
