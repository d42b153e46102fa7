/*
 * GQuark and interned strings, kept in a hash table of the guest.
 *
 * Source: GLib 2.74 glib/gquark.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/containers.h"

/* Quarks and interned strings: a hash table of the guest has them. */

static uint64_t string_table(struct vmd_host_call *call, uint64_t *table)
{
    if (!*table) {
        uint64_t hash = vmd_guest_import(call->guest, "g_str_hash");
        struct vmd_host_call make = {.guest = call->guest, .args = {hash, 0}};

        *table = vmd_host_new_table(&make);
    }
    return *table;
}

static uint64_t find_string(struct vmd_host_call *call, uint64_t table, const char *text, uint32_t *slot,
                            struct vmd_container **ret)
{
    *ret = vmd_container_take(call->guest, table, VMD_TABLE);
    return *ret && vmd_ghash_lookup(&(*ret)->hash, vmd_str_hash(text), call->args[0], slot);
}

/* The value of a string in a table; 0: it is neither in the table nor added. */
static uint64_t intern(struct vmd_host_call *call, uint64_t *table_at, bool add, bool is_quark)
{
    const char *text = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;
    uint64_t table = text ? string_table(call, table_at) : 0, value = 0, copy;
    struct vmd_container *container;
    uint32_t slot;

    if (!table) {
        return 0;
    }
    if (find_string(call, table, text, &slot, &container)) {
        value = container->hash.values[slot];
    } else if (add && container) {
        copy = vmd_host_put_string(call->guest, text, strlen(text));
        value = is_quark ? ++call->guest->state.n_quarks : copy;
        if (copy && vmd_container_count(call->guest, 1) &&
            vmd_ghash_insert(&container->hash, vmd_str_hash(text), copy, value)) {
            vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
        }
    }
    if (container) {
        vmd_container_put(container);
    }
    return value;
}

static uint64_t host_g_intern_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.interned, true, false);
}

static uint64_t host_g_quark_from_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.quarks, true, true);
}

static uint64_t host_g_quark_try_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.quarks, false, true);
}

VMD_SERVE({"g_intern_string", host_g_intern_string}, {"g_intern_static_string", host_g_intern_string},
          {"g_quark_from_string", host_g_quark_from_string}, {"g_quark_from_static_string", host_g_quark_from_string},
          {"g_quark_try_string", host_g_quark_try_string})
