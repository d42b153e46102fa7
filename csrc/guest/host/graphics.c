/*
 * pixman: images that hold their format, sizes and pixels, as displays ask for them. Nothing is drawn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

enum { FORMAT = 0, WIDTH = 4, HEIGHT = 8, STRIDE = 12, PIXELS = 16, IMAGE_SIZE = 32, SIDE_MAX = 1 << 15 };

/* pixman_image_create_bits(format, width, height, pixels, stride in bytes); bits of a pixel are in the format's top */
static uint64_t host_pixman_image_create_bits(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint32_t format = (uint32_t)call->args[0], width = (uint32_t)call->args[1], height = (uint32_t)call->args[2],
             stride = (uint32_t)call->args[4];
    uint64_t image, pixels = call->args[3];

    if (width > SIDE_MAX || height > SIDE_MAX) {
        return 0;
    }
    if (!pixels) {
        stride = (width * (format >> 24) + 31) / 32 * 4;
        pixels = vmd_host_allocate(guest, (uint64_t)stride * height);
    }
    image = vmd_host_allocate(guest, IMAGE_SIZE);
    vmd_guest_store_u32(guest, image + FORMAT, format);
    vmd_guest_store_u32(guest, image + WIDTH, width);
    vmd_guest_store_u32(guest, image + HEIGHT, height);
    vmd_guest_store_u32(guest, image + STRIDE, stride);
    vmd_guest_store_u64(guest, image + PIXELS, pixels);
    return image;
}

static uint64_t host_pixman_image_get_format(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + FORMAT);
}

static uint64_t host_pixman_image_get_width(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + WIDTH);
}

static uint64_t host_pixman_image_get_height(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + HEIGHT);
}

static uint64_t host_pixman_image_get_stride(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + STRIDE);
}

static uint64_t host_pixman_image_get_data(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0] + PIXELS);
}

static uint64_t host_pixman_image_create_solid_fill(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, IMAGE_SIZE);
}

VMD_SERVE({"pixman_image_create_bits", host_pixman_image_create_bits},
          {"pixman_image_create_bits_no_clear", host_pixman_image_create_bits},
          {"pixman_image_create_solid_fill", host_pixman_image_create_solid_fill},
          {"pixman_image_get_format", host_pixman_image_get_format},
          {"pixman_image_get_width", host_pixman_image_get_width},
          {"pixman_image_get_height", host_pixman_image_get_height},
          {"pixman_image_get_stride", host_pixman_image_get_stride},
          {"pixman_image_get_data", host_pixman_image_get_data}, {"pixman_image_ref", vmd_host_same},
          {"pixman_image_unref", vmd_host_one}, {"pixman_format_supported_source", vmd_host_one},
          NOTHING("pixman_image_set_destroy_function"), NOTHING("pixman_image_composite"), NOTHING("pixman_fill"),
          NOTHING("pixman_blt"), NOTHING("pixman_image_fill_rectangles"), NOTHING("pixman_image_set_transform"),
          NOTHING("pixman_transform_init_identity"), NOTHING("pixman_region_init"), NOTHING("pixman_region_fini"))
