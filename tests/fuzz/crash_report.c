/* SPDX-License-Identifier: MIT */
/*
 * A crash report as a hostile worker may write it: whatever comes out is bounded, ends and can be printed.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <supervise/crash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[4096];
    struct crash_report report;

    assert(crash_file_size() <= sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, data, size < crash_file_size() ? size : crash_file_size());
    assert(crash_parse(bytes, crash_file_size() - 1, &report) == -EBADMSG);
    int err = crash_parse(bytes, crash_file_size(), &report);
    if (err < 0) {
        assert(err == -EBADMSG || err == -ENODATA);
        return 0;
    }
    assert(crash_is_signal((int)report.signal) && report.frame_count <= CRASH_FRAMES_MAX);
    for (uint32_t i = 0; i < report.frame_count; i++) {
        assert(memchr(report.frames[i], 0, CRASH_PLACE_SIZE));
        assert(report.frames[i][0] != 0);
        for (const char *at = report.frames[i]; *at != 0; at++)
            assert(*at > ' ' && *at <= '~');
    }
    return 0;
}
