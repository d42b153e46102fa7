/*
 * The SPICE server, which devices and their consoles register with: it has no clients.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

/* An object whose contents are not used. */
static uint64_t host_spice_server_new(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, 16);
}

/* The kinds of character devices. Source: spice-server 0.15 server/reds.cpp. */
static uint64_t host_recognized_subtypes(struct vmd_host_call *call)
{
    static const char *const NAMES[] = {"vdagent", "smartcard", "usbredir", "port"};
    const uint64_t n = sizeof(NAMES) / sizeof(*NAMES);
    uint64_t list = vmd_host_allocate(call->guest, 8 * (n + 1));

    for (uint64_t i = 0; list && i < n; i++) {
        vmd_guest_store_u64(call->guest, list + 8 * i, vmd_host_put_string(call->guest, NAMES[i], strlen(NAMES[i])));
    }
    return list;
}

static uint64_t host_best_rate(struct vmd_host_call *call)
{
    return 48000;
}

VMD_SERVE(
    {"spice_server_new", host_spice_server_new},
    {"spice_server_char_device_recognized_subtypes", host_recognized_subtypes},
    {"spice_server_get_best_playback_rate", host_best_rate}, {"spice_server_get_best_record_rate", host_best_rate},
    NOTHING("spice_qxl_add_memslot"), NOTHING("spice_qxl_add_memslot_async"),
    NOTHING("spice_qxl_create_primary_surface"), NOTHING("spice_qxl_create_primary_surface_async"),
    NOTHING("spice_qxl_del_memslot"), NOTHING("spice_qxl_destroy_primary_surface"),
    NOTHING("spice_qxl_destroy_primary_surface_async"), NOTHING("spice_qxl_destroy_surface_async"),
    NOTHING("spice_qxl_destroy_surface_wait"), NOTHING("spice_qxl_destroy_surfaces"),
    NOTHING("spice_qxl_destroy_surfaces_async"), NOTHING("spice_qxl_driver_unload"),
    NOTHING("spice_qxl_flush_surfaces_async"), NOTHING("spice_qxl_gl_draw_async"), NOTHING("spice_qxl_gl_scanout"),
    NOTHING("spice_qxl_gl_scanout2"), NOTHING("spice_qxl_loadvm_commands"), NOTHING("spice_qxl_monitors_config_async"),
    NOTHING("spice_qxl_oom"), NOTHING("spice_qxl_reset_cursor"), NOTHING("spice_qxl_reset_image_cache"),
    NOTHING("spice_qxl_reset_memslots"), NOTHING("spice_qxl_set_device_info"), NOTHING("spice_qxl_update_area"),
    NOTHING("spice_qxl_update_area_async"), NOTHING("spice_qxl_wakeup"), NOTHING("spice_server_add_client"),
    NOTHING("spice_server_add_interface"), NOTHING("spice_server_add_ssl_client"),
    NOTHING("spice_server_char_device_wakeup"), NOTHING("spice_server_destroy"), NOTHING("spice_server_init"),
    NOTHING("spice_server_is_server_mouse"), NOTHING("spice_server_kbd_leds"), NOTHING("spice_server_migrate_connect"),
    NOTHING("spice_server_migrate_end"), NOTHING("spice_server_migrate_start"),
    NOTHING("spice_server_playback_get_buffer"), NOTHING("spice_server_playback_put_samples"),
    NOTHING("spice_server_playback_set_mute"), NOTHING("spice_server_playback_set_volume"),
    NOTHING("spice_server_playback_start"), NOTHING("spice_server_playback_stop"), NOTHING("spice_server_port_event"),
    NOTHING("spice_server_record_get_samples"), NOTHING("spice_server_record_set_mute"),
    NOTHING("spice_server_record_set_volume"), NOTHING("spice_server_record_start"),
    NOTHING("spice_server_record_stop"), NOTHING("spice_server_remove_interface"), NOTHING("spice_server_set_addr"),
    NOTHING("spice_server_set_agent_copypaste"), NOTHING("spice_server_set_agent_file_xfer"),
    NOTHING("spice_server_set_agent_mouse"), NOTHING("spice_server_set_channel_security"),
    NOTHING("spice_server_set_image_compression"), NOTHING("spice_server_set_jpeg_compression"),
    NOTHING("spice_server_set_name"), NOTHING("spice_server_set_noauth"),
    NOTHING("spice_server_set_playback_compression"), NOTHING("spice_server_set_playback_rate"),
    NOTHING("spice_server_set_port"), NOTHING("spice_server_set_record_rate"), NOTHING("spice_server_set_sasl"),
    NOTHING("spice_server_set_sasl_appname"), NOTHING("spice_server_set_seamless_migration"),
    NOTHING("spice_server_set_streaming_video"), NOTHING("spice_server_set_ticket"), NOTHING("spice_server_set_tls"),
    NOTHING("spice_server_set_uuid"), NOTHING("spice_server_set_video_codecs"),
    NOTHING("spice_server_set_zlib_glz_compression"), NOTHING("spice_server_vm_start"), NOTHING("spice_server_vm_stop"))
