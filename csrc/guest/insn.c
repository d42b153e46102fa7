/*
 * Lengths of x86-64 instructions: see insn.h. Source: Intel SDM volume 2, appendix A (opcode maps), chapter 2.3
 * (VEX).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/insn.h"

/*
 * Operands of opcodes, one letter each: - nothing; m ModRM; b, w: 1, 2 bytes; i ModRM and 1 byte; r 4 bytes, whatever
 * the operand size; z operand size, at most 4 bytes; I ModRM and z; v operand size, up to 8 bytes; a an address of 8
 * bytes, or 4 with prefix 67; e enter's 3 bytes; t ModRM, and the operand of `test` for the first two of the group, 1
 * byte; T the same with z. Others: p prefix, R REX, E two-byte opcode, V VEX, X EVEX, P pop or XOP, ! invalid.
 */
static const char one_byte[257] = "mmmmbz!!mmmmbz!E" /* 00 */
                                  "mmmmbz!!mmmmbz!!"
                                  "mmmmbzp!mmmmbzp!"
                                  "mmmmbzp!mmmmbzp!"
                                  "RRRRRRRRRRRRRRRR" /* 40 */
                                  "----------------"
                                  "!!XmppppzIbi----"
                                  "bbbbbbbbbbbbbbbb"
                                  "iI!immmmmmmmmmmP" /* 80 */
                                  "----------!-----"
                                  "aaaa----bz------"
                                  "bbbbbbbbvvvvvvvv"
                                  "iiw-VViIe-w--b!-" /* c0 */
                                  "mmmm!!!-mmmmmmmm"
                                  "bbbbbbbbrr!b----"
                                  "p-pp--tT------mm";
static const char two_byte[257] = "mmmm!-----!-!m-i" /* 0f 00 */
                                  "mmmmmmmmmmmmmmmm"
                                  "mmmm!!!!mmmmmmmm"
                                  "------!-8!A!!!!!" /* 8, A: three-byte opcodes 0f 38, 0f 3a */
                                  "mmmmmmmmmmmmmmmm" /* 0f 40 */
                                  "mmmmmmmmmmmmmmmm"
                                  "mmmmmmmmmmmmmmmm"
                                  "iiiimmm-mmmmmmmm"
                                  "rrrrrrrrrrrrrrrr" /* 0f 80 */
                                  "mmmmmmmmmmmmmmmm"
                                  "---mimmm---mimmm"
                                  "mmmmmmmmmmimmmmm"
                                  "mmimiiim--------" /* 0f c0 */
                                  "mmmmmmmmmmmmmmmm"
                                  "mmmmmmmmmmmmmmmm"
                                  "mmmmmmmmmmmmmmmm";

enum { LENGTH_MAX = 15 };

struct insn {
    const uint8_t *opcode; /* after the prefixes; NULL: not within the bytes */
    size_t room;           /* bytes from opcode on */
    size_t n_prefixes;
    bool has_66, has_67, has_w;
};

static struct insn read_prefixes(const uint8_t *code, size_t size)
{
    struct insn insn = {0};

    size = size < LENGTH_MAX ? size : LENGTH_MAX;
    while (insn.n_prefixes < size && one_byte[code[insn.n_prefixes]] == 'p') {
        insn.has_66 |= code[insn.n_prefixes] == 0x66;
        insn.has_67 |= code[insn.n_prefixes++] == 0x67;
    }
    if (insn.n_prefixes < size && one_byte[code[insn.n_prefixes]] == 'R') {
        insn.has_w = code[insn.n_prefixes++] & 8;
    }
    if (insn.n_prefixes < size) {
        insn.opcode = code + insn.n_prefixes;
        insn.room = size - insn.n_prefixes;
    }
    return insn;
}

/* Bytes of ModRM, SIB and displacement; 0: incomplete. */
static size_t modrm_length(const uint8_t *modrm, size_t room)
{
    unsigned mod, rm;
    size_t length = 1;

    if (!room) {
        return 0;
    }
    mod = *modrm >> 6;
    rm = *modrm & 7;
    if (mod != 3 && rm == 4) {
        if (room < 2) {
            return 0;
        }
        length++;
        rm = modrm[1] & 7; /* the base */
    }
    length += mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0;
    return length <= room ? length : 0;
}

/* Bytes from the last byte of an opcode on; kind: its operands, as in the tables. 0: invalid or incomplete. */
static size_t opcode_length(const struct insn *insn, const uint8_t *opcode, size_t room, char kind)
{
    size_t length = 1, modrm, z = insn->has_66 && !insn->has_w ? 2 : 4;

    switch (kind) {
    case 'm':
    case 'i':
    case 'I':
    case 't':
    case 'T':
        modrm = modrm_length(opcode + 1, room - 1);
        if (!modrm) {
            return 0;
        }
        length += modrm;
        if (kind == 'i' || (kind == 't' && (opcode[1] >> 3 & 7) < 2)) {
            length++;
        } else if (kind == 'I' || (kind == 'T' && (opcode[1] >> 3 & 7) < 2)) {
            length += z;
        }
        break;
    case '-':
        break;
    case 'b':
        length += 1;
        break;
    case 'w':
        length += 2;
        break;
    case 'e':
        length += 3;
        break;
    case 'r':
        length += 4;
        break;
    case 'z':
        length += z;
        break;
    case 'v':
        length += insn->has_w ? 8 : z;
        break;
    case 'a':
        length += insn->has_67 ? 4 : 8;
        break;
    default:
        return 0;
    }
    return length <= room ? length : 0;
}

/* VEX: c5 and one byte imply the map 0f; c4 and two bytes contain the opcode map. */

static size_t vex_prefix_length(const uint8_t *opcode)
{
    return *opcode == 0xc5 ? 2 : 3;
}

static unsigned vex_map(const uint8_t *opcode)
{
    return *opcode == 0xc5 ? 1 : opcode[1] & 31;
}

static size_t vex_length(const struct insn *insn)
{
    size_t prefix = vex_prefix_length(insn->opcode), length;
    char kind;

    if (insn->room < prefix + 1) {
        return 0;
    }
    switch (vex_map(insn->opcode)) {
    case 1:
        kind = two_byte[insn->opcode[prefix]];
        break;
    case 2:
        kind = 'm';
        break;
    case 3:
        kind = 'i';
        break;
    default:
        return 0;
    }
    length = opcode_length(insn, insn->opcode + prefix, insn->room - prefix, kind);
    return length ? insn->n_prefixes + prefix + length : 0;
}

/* andn, blsr and its group, bzhi, pext, pdep, mulx, bextr, shlx, sarx, shrx; rorx. */
static bool is_general(const struct insn *insn)
{
    uint8_t opcode;

    if (insn->room < 4 || *insn->opcode != 0xc4 || insn->opcode[2] & 4) {
        return false;
    }
    opcode = insn->opcode[3];
    return vex_map(insn->opcode) == 2 ? opcode == 0xf2 || opcode == 0xf3 || (opcode >= 0xf5 && opcode <= 0xf7)
                                      : vex_map(insn->opcode) == 3 && opcode == 0xf0;
}

size_t vmd_x86_64_length(const uint8_t *code, size_t size)
{
    struct insn insn = read_prefixes(code, size);
    const uint8_t *opcode = insn.opcode;
    size_t escape = 0, length;
    char kind;

    if (!opcode) {
        return 0;
    }
    kind = one_byte[*opcode];
    if (kind == 'V') {
        return vex_length(&insn);
    }
    if (kind == 'P') {
        kind = vmd_x86_64_is_vector(code, size) ? '!' : 'm';
    } else if (kind == 'E' && insn.room > 1) {
        escape = 1;
        kind = two_byte[opcode[1]];
        if ((kind == '8' || kind == 'A') && insn.room > 2) {
            escape = 2;
            kind = kind == '8' ? 'm' : 'i';
        }
    }
    length = opcode_length(&insn, opcode + escape, insn.room - escape, kind);
    return length ? insn.n_prefixes + escape + length : 0;
}

bool vmd_x86_64_is_vector(const uint8_t *code, size_t size)
{
    struct insn insn = read_prefixes(code, size);

    if (!insn.opcode) {
        return false;
    }
    switch (one_byte[*insn.opcode]) {
    case 'V':
        return !is_general(&insn);
    case 'X':
        return true;
    case 'P':
        return insn.room > 1 && insn.opcode[1] & 0x38;
    }
    return false;
}

size_t vmd_x86_64_find_vector(const uint8_t *code, size_t block, size_t size)
{
    size_t length;

    for (size_t at = 0; at < block && at < size; at += length) {
        if (vmd_x86_64_is_vector(code + at, size - at)) {
            return at;
        }
        length = vmd_x86_64_length(code + at, size - at);
        if (!length) {
            break;
        }
    }
    return SIZE_MAX;
}

size_t vmd_x86_64_prefixes(const uint8_t *code, size_t size)
{
    return read_prefixes(code, size).n_prefixes;
}
