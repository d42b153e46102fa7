/*
 * Instructions that Unicorn lacks or executes wrongly. When a block that contains some of the latter is translated,
 * they are overwritten with invalid ones and the block is translated again; at each invalid instruction Unicorn calls a
 * hook, which executes the original one in C. See struct vmd_replacement.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"

/* A block of code, as Unicorn translates it. */
struct uc_tb {
    uint64_t pc;
    uint16_t n_instructions, size; /* bytes */
};

/*
 * A block has been translated and is executed next. Unicorn calls this once per translation. A hook of another type
 * than UC_HOOK_BLOCK: a second one of these breaks nested execution (Unicorn 2.1.4).
 */
static void on_new_block(void *engine, const struct uc_tb *block, const struct uc_tb *before, void *user)
{
    struct vmd_guest *guest = user;
    const struct vmd_replacement *replacement = guest->host->replacement;
    uint8_t *code = (uint8_t *)vmd_guest_find(guest, block->pc, 1);
    size_t size = code ? (size_t)((uint8_t *)guest->memory + guest->size - code) : 0, at = 0, found;

    while (at < block->size && at < size &&
           (found = replacement->find(code + at, block->size - at, size - at)) != SIZE_MAX) {
        at += found;
        replacement->overwrite(code + at, size - at);
        guest->cpu->retranslated = block->pc;
        guest->cpu->retranslated_size = block->size;
    }
    if (guest->cpu->retranslated) {
        vmd_cpu_stop(guest);
    }
}

bool vmd_cpu_retranslate(struct vmd_guest *guest, uint64_t *start)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu->retranslated) {
        return false;
    }
    *start = cpu->retranslated;
    cpu->unicorn.ctl(cpu->engine, UC_CTL_WRITE | 2 << UC_CTL_ARGUMENTS | UC_CTL_TB_REMOVE_CACHE, *start,
                     *start + cpu->retranslated_size);
    cpu->retranslated = 0;
    return true;
}

/* False: the instruction is invalid in the binary, too. */
static bool execute(struct vmd_guest *guest)
{
    uint64_t pc = vmd_cpu_read(guest, guest->host->pc) - guest->host->replacement->skew;
    const uint8_t *code = (const uint8_t *)vmd_guest_find(guest, pc, 1);
    size_t size = code ? (size_t)((uint8_t *)guest->memory + guest->size - code) : 0;
    size_t length = size ? guest->host->replacement->execute(guest, pc, code, size) : 0;

    if (!length || guest->err.code) {
        return false;
    }
    vmd_cpu_write(guest, guest->host->pc, pc + length);
    return true;
}

static bool on_invalid_instruction(void *engine, void *user)
{
    return execute(user);
}

static void on_interrupt(void *engine, uint32_t number, void *user)
{
    struct vmd_guest *guest = user;

    if (!execute(guest)) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, vmd_cpu_read(guest, guest->host->pc), "an exception of the CPU");
    }
}

bool vmd_cpu_hook_replaced(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    void *engine = guest->cpu->engine, *hook;
    bool is_interrupt = guest->host->replacement->is_interrupt;

    return (!guest->host->replacement->find ||
            !unicorn->hook_add(engine, &hook, UC_HOOK_EDGE_GENERATED, on_new_block, guest, 1, 0)) &&
           !unicorn->hook_add(engine, &hook, is_interrupt ? UC_HOOK_INTR : UC_HOOK_INSN_INVALID,
                              is_interrupt ? (void *)on_interrupt : (void *)on_invalid_instruction, guest, 1, 0);
}
