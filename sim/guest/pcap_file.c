/* SPDX-License-Identifier: MIT */
/*
 * libpcap is loaded when it is used: it brings a dozen libraries with it, which a guest that has no files to read or write need not have.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <pcap/pcap.h>

#include "guest.h"
#include "pcap_file.h"

#define SNAPLEN 262144

#define LIBRARY "libpcap.so.0.8"

static struct {
    bool loaded;
    __typeof__(&pcap_open_dead) open_dead;
    __typeof__(&pcap_open_offline) open_offline;
    __typeof__(&pcap_close) close;
    __typeof__(&pcap_geterr) geterr;
    __typeof__(&pcap_datalink) datalink;
    __typeof__(&pcap_next_ex) next_ex;
    __typeof__(&pcap_dump_open) dump_open;
    __typeof__(&pcap_dump) dump;
    __typeof__(&pcap_dump_flush) dump_flush;
    __typeof__(&pcap_dump_close) dump_close;
} lib;

static int load(void)
{
    const struct {
        const char *name;
        void *pointer; /* to a pointer to the function */
    } symbols[] = {
        {"pcap_open_dead", &lib.open_dead},   {"pcap_open_offline", &lib.open_offline},
        {"pcap_close", &lib.close},           {"pcap_geterr", &lib.geterr},
        {"pcap_datalink", &lib.datalink},     {"pcap_next_ex", &lib.next_ex},
        {"pcap_dump_open", &lib.dump_open},   {"pcap_dump", &lib.dump},
        {"pcap_dump_flush", &lib.dump_flush}, {"pcap_dump_close", &lib.dump_close},
    };
    void *library = lib.loaded ? NULL : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (lib.loaded)
        return 0;
    for (unsigned i = 0; library != NULL && i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        memcpy(symbols[i].pointer, &symbol, sizeof symbol);
        if (symbol == NULL)
            library = NULL;
    }
    if (library == NULL) {
        guest_say("cannot load %s: %s", LIBRARY, dlerror());
        return -ELIBACC;
    }
    lib.loaded = true;
    return 0;
}

struct pcap_writer {
    pcap_t *dead;
    pcap_dumper_t *dumper;
};

struct pcap_reader {
    pcap_t *file;
};

int pcap_writer_open(const char *path, struct pcap_writer **ret_writer)
{
    int rc = load();
    if (rc < 0)
        return rc;
    struct pcap_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return -ENOMEM;
    writer->dead = lib.open_dead(DLT_EN10MB, SNAPLEN);
    if (writer->dead != NULL)
        writer->dumper = lib.dump_open(writer->dead, path);
    if (writer->dumper == NULL) {
        guest_say("%s", writer->dead != NULL ? lib.geterr(writer->dead) : "no memory for a capture");
        if (writer->dead != NULL)
            lib.close(writer->dead);
        free(writer);
        return -EIO;
    }
    *ret_writer = writer;
    return 0;
}

void pcap_writer_put(struct pcap_writer *writer, const uint8_t *frame, uint32_t length)
{
    struct pcap_pkthdr header = {.caplen = length, .len = length};

    gettimeofday(&header.ts, NULL);
    lib.dump((u_char *)writer->dumper, &header, frame);
}

int pcap_writer_close(struct pcap_writer *writer)
{
    if (writer == NULL)
        return 0;
    int rc = lib.dump_flush(writer->dumper) < 0 ? -EIO : 0;
    if (rc < 0)
        guest_say("cannot write the capture");
    lib.dump_close(writer->dumper);
    lib.close(writer->dead);
    free(writer);
    return rc;
}

int pcap_reader_open(const char *path, struct pcap_reader **ret_reader)
{
    char error[PCAP_ERRBUF_SIZE];
    int rc = load();

    if (rc < 0)
        return rc;
    struct pcap_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return -ENOMEM;
    reader->file = lib.open_offline(path, error);
    if (reader->file == NULL || lib.datalink(reader->file) != DLT_EN10MB) {
        guest_say("%s: %s", path, reader->file == NULL ? error : "holds no Ethernet frames");
        pcap_reader_close(reader);
        return -EINVAL;
    }
    *ret_reader = reader;
    return 0;
}

int pcap_reader_next(struct pcap_reader *reader, const uint8_t **ret_frame, uint32_t *ret_length)
{
    struct pcap_pkthdr *header;
    const u_char *bytes;

    int rc = lib.next_ex(reader->file, &header, &bytes);
    if (rc == PCAP_ERROR_BREAK)
        return 0;
    if (rc != 1 || header->caplen != header->len) {
        guest_say("the capture is broken: %s", rc == 1 ? "a frame was cut" : lib.geterr(reader->file));
        return -EBADMSG;
    }
    *ret_frame = bytes;
    *ret_length = header->len;
    return 1;
}

void pcap_reader_close(struct pcap_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->file != NULL)
        lib.close(reader->file);
    free(reader);
}
