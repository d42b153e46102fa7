/*
 * What Windows says of the machine and of the process: clocks, memory, modules, the last error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/time.h"
#include "guest/host/windows/system.h"

#include <stdlib.h>

/* The last error, in the thread's TEB */

enum { TEB_LAST_ERROR = 0x68 };

static uint64_t host_get_last_error(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->guest->thread + TEB_LAST_ERROR);
}

uint64_t vmd_windows_error(struct vmd_guest *guest, uint32_t error)
{
    vmd_guest_store_u32(guest, guest->thread + TEB_LAST_ERROR, error);
    return 0;
}

static uint64_t host_set_last_error(struct vmd_host_call *call)
{
    return vmd_windows_error(call->guest, (uint32_t)call->args[0]);
}

/* Clocks count ticks of 100 ns; the real one has begun with the year 1601. */

enum { TICKS_OF_SECOND = 10000000, TICKS_OF_MICROSECOND = 10 };

static const uint64_t SECONDS_TO_1970 = 11644473600;

static uint64_t host_performance_frequency(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0], TICKS_OF_SECOND);
    return 1;
}

static uint64_t host_performance_counter(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0], vmd_host_monotonic_time(call->guest) * TICKS_OF_MICROSECOND);
    return 1;
}

static uint64_t host_system_time(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0],
                        SECONDS_TO_1970 * TICKS_OF_SECOND + vmd_host_real_time(call->guest) * TICKS_OF_MICROSECOND);
    return 0;
}

static uint64_t host_tick_count(struct vmd_host_call *call)
{
    return vmd_host_monotonic_time(call->guest) / 1000;
}

/* Memory. SYSTEM_INFO: page size, addresses, processors, granularity. */

enum { PAGE = 4096 };

static uint64_t host_system_info(struct vmd_host_call *call)
{
    char *to = vmd_guest_at(call->guest, call->args[0], 48);

    if (to) {
        memset(to, 0, 48);
        vmd_put_u32(call->guest, to + 4, PAGE);
        vmd_put_u64(call->guest, to + 8, VMD_WINDOWS_GRANULARITY);
        vmd_put_u64(call->guest, to + 16, 0x7ffffffeffff);
        vmd_put_u64(call->guest, to + 24, (1 << VMD_PROCESSORS) - 1);
        vmd_put_u32(call->guest, to + 32, VMD_PROCESSORS);
        vmd_put_u32(call->guest, to + 40, VMD_WINDOWS_GRANULARITY);
    }
    return 0;
}

/* GlobalMemoryStatusEx: {size, load, total physical, available physical, ...} */
static uint64_t host_memory_status(struct vmd_host_call *call)
{
    const uint64_t total = 8ull << 30;

    for (uint64_t at = 8; at < 56; at += 8) {
        vmd_guest_store_u64(call->guest, call->args[0] + at, total);
    }
    return 1;
}

/* VirtualAlloc(address, size, type, protection): MEM_COMMIT of reserved memory changes nothing. */
static uint64_t host_virtual_alloc(struct vmd_host_call *call)
{
    if (call->args[0]) {
        return call->args[0];
    }
    return vmd_guest_has_room(call->guest, call->args[1], VMD_WINDOWS_GRANULARITY)
               ? vmd_guest_alloc(call->guest, call->args[1], VMD_WINDOWS_GRANULARITY)
               : vmd_windows_error(call->guest, ERROR_NOT_ENOUGH_MEMORY);
}

/* VirtualProtect(address, size, protection, &old) */
static uint64_t host_virtual_protect(struct vmd_host_call *call)
{
    enum { PAGE_READWRITE = 4 };

    vmd_guest_store_u32(call->guest, call->args[3], PAGE_READWRITE);
    return 1;
}

/* HeapAlloc(heap, flags, size), HeapFree(heap, flags, block) */
static uint64_t host_heap_alloc(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, call->args[2]);
}

static uint64_t host_heap_free(struct vmd_host_call *call)
{
    if (call->args[2]) {
        vmd_host_free(call->guest, call->args[2]);
    }
    return 1;
}

/* Modules: the binary is the only one. */

static uint64_t host_module_handle(struct vmd_host_call *call)
{
    return call->args[0] ? 0 : call->guest->image;
}

/* GetModuleFileNameA(module, buffer, size): the binary, in the directory that host/process.c's machine has it in */
static uint64_t host_module_file_name(struct vmd_host_call *call)
{
    static const char name[] = "\\usr\\bin\\qemu.exe";
    char *to = call->args[2] >= sizeof(name) ? vmd_guest_at(call->guest, call->args[1], sizeof(name)) : NULL;

    if (to) {
        memcpy(to, name, sizeof(name));
    }
    return to ? sizeof(name) - 1 : 0;
}

enum { CURRENT_PROCESS = -1 };

static uint64_t host_process(struct vmd_host_call *call)
{
    return (uint64_t)CURRENT_PROCESS;
}

/* TerminateProcess(process, code): there is no other process. */
static uint64_t host_terminate_process(struct vmd_host_call *call)
{
    if (call->args[0] != (uint64_t)CURRENT_PROCESS) {
        return vmd_windows_error(call->guest, ERROR_INVALID_HANDLE);
    }
    vmd_guest_fail(call->guest, VMD_EXITED, (uint32_t)call->args[1], "it exits");
    return 0;
}

/* WSAStartup(version, data): the version that is asked for. */
static uint64_t host_wsa_startup(struct vmd_host_call *call)
{
    vmd_guest_store_u32(call->guest, call->args[1], (uint32_t)(call->args[0] & 0xffff) | (uint32_t)call->args[0] << 16);
    return 0;
}

static uint64_t host_swap_long(struct vmd_host_call *call)
{
    return __builtin_bswap32((uint32_t)call->args[0]);
}

static uint64_t host_swap_short(struct vmd_host_call *call)
{
    return __builtin_bswap16((uint16_t)call->args[0]);
}

VMD_SERVE_ON(VMD_WINDOWS, {"GetLastError", host_get_last_error}, {"SetLastError", host_set_last_error},
             {"WSAGetLastError", host_get_last_error}, {"WSASetLastError", host_set_last_error},
             {"QueryPerformanceFrequency", host_performance_frequency},
             {"QueryPerformanceCounter", host_performance_counter}, {"GetSystemTimeAsFileTime", host_system_time},
             {"GetSystemTimePreciseAsFileTime", host_system_time}, {"GetTickCount", host_tick_count},
             {"GetTickCount64", host_tick_count}, {"timeGetTime", host_tick_count}, NOTHING("timeGetDevCaps"),
             NOTHING("timeBeginPeriod"), NOTHING("timeEndPeriod"), {"GetSystemInfo", host_system_info},
             {"GetNativeSystemInfo", host_system_info}, {"GlobalMemoryStatusEx", host_memory_status},
             {"VirtualAlloc", host_virtual_alloc}, WORKS("VirtualFree"), {"VirtualProtect", host_virtual_protect},
             NOTHING("VirtualQuery"), {"GetProcessHeap", vmd_host_one}, {"HeapAlloc", host_heap_alloc},
             {"HeapFree", host_heap_free}, {"GetModuleHandleA", host_module_handle},
             {"GetModuleFileNameA", host_module_file_name}, {"GetModuleHandleW", host_module_handle},
             NOTHING("GetProcAddress"), NOTHING("LoadLibraryA"), NOTHING("LoadLibraryW"), NOTHING("LoadLibraryExA"),
             NOTHING("LoadLibraryExW"), WORKS("FreeLibrary"), NOTHING("GetLogicalProcessorInformation"),
             NOTHING("GetLogicalProcessorInformationEx"), {"GetCurrentProcess", host_process},
             {"TerminateProcess", host_terminate_process}, NOTHING("SetUnhandledExceptionFilter"),
             WORKS("SetConsoleCtrlHandler"), NOTHING("SetErrorMode"), NOTHING("GetStdHandle"), NOTHING("GetFileType"),
             NOTHING("GetConsoleMode"), WORKS("SetConsoleMode"), NOTHING("IsDebuggerPresent"),
             NOTHING("OutputDebugStringA"), NOTHING("GetVersion"), NOTHING("GetEnvironmentVariableA"),
             NOTHING("GetEnvironmentVariableW"), {"WSAStartup", host_wsa_startup}, NOTHING("WSACleanup"),
             {"htonl", host_swap_long}, {"ntohl", host_swap_long}, {"htons", host_swap_short},
             {"ntohs", host_swap_short}, NOTHING("WSAEventSelect"), NOTHING("WSAEnumNetworkEvents"),
             NOTHING("closesocket"), NOTHING("ioctlsocket"), NOTHING("getsockopt"),
             NOTHING("IsProcessorFeaturePresent"), NOTHING("FlushInstructionCache"))

VMD_NAMES_ON(VMD_WINDOWS, {"GetCurrentProcessId", "getpid"}, {"ExitProcess", "exit"})
