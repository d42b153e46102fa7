/*
 * GModule: QEMU's own modules, which are mapped into the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

enum { PROGRAM = 1 }; /* the handle of the program itself */

enum { BIND_LOCAL = 2 }; /* GModuleFlags */

/* g_module_open(path, flags) */
static uint64_t host_g_module_open(struct vmd_host_call *call)
{
    const struct vmd_guest_services *services = &call->guest->services;
    const char *path = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;
    const uint64_t *constructors = NULL;
    uint64_t handle, n = 0;

    if (!call->args[0]) {
        return PROGRAM;
    }
    if (!path || !services->open_module) {
        return 0;
    }
    handle = services->open_module(services->opaque, path, !(call->args[1] & BIND_LOCAL), &constructors, &n);
    for (uint64_t i = 0; handle && i < n && !call->guest->err.code; i++) {
        vmd_host_call_guest(call, constructors[i], NULL, 0);
    }
    return handle;
}

/* g_module_symbol(module, name, address) */
static uint64_t host_g_module_symbol(struct vmd_host_call *call)
{
    const struct vmd_guest_services *services = &call->guest->services;
    const char *name = vmd_host_string(call->guest, call->args[1]);
    uint64_t address =
        name && services->module_symbol ? services->module_symbol(services->opaque, call->args[0], name) : 0;

    if (call->args[2]) {
        vmd_guest_store_u64(call->guest, call->args[2], address);
    }
    return address != 0;
}

static uint64_t host_g_module_error(struct vmd_host_call *call)
{
    static const char text[] = "cannot open shared object file";

    return vmd_host_put_string(call->guest, text, strlen(text));
}

VMD_SERVE({"g_module_supported", vmd_host_one}, {"g_module_open", host_g_module_open},
          {"g_module_symbol", host_g_module_symbol}, {"g_module_error", host_g_module_error},
          {"g_module_close", vmd_host_one}, {"g_module_make_resident", vmd_host_zero})
