/* SPDX-License-Identifier: MIT */
/*
 * simxen: the simulated host's command line; what xl is for domains, and what no xl has.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>
#include <xenstore.h>

#include "client.h"
#include "fault.h"
#include "nodes.h"
#include "vif.h"

static const char usage_text[] =
    "usage: simxen COMMAND\n"
    "  create [--domid N] [--name NAME]   make a domain, introduce it to xenstored, print its number\n"
    "  destroy DOMID [--abrupt]           as xl: close its backends first; --abrupt: the domain vanishes, backend "
    "nodes stay\n"
    "  list                               domains: number, state, ports, grants, pages mapped by others,\n"
    "                                     pages it revoked while they were mapped\n"
    "  fault DOMID RULES|none             misbehave in what others do to DOMID (see sim/README.md)\n"
    "  exec DOMID COMMAND [ARGUMENT...]   run a program as DOMID, with that guest's xenstore\n"
    "  vif-attach DOMID N [OPTION VALUE]...  as xl: write both ends' nodes, wait for the back end's 2, play the "
    "script\n"
    "  vif-detach DOMID N [OPTION VALUE]...  as xl: close it, wait for 6, remove the nodes\n"
    "    --mac --ip --bridge --script --rate BYTES,USECS --mtu --vifname --gatewaydev --kind KIND (vif)\n"
    "    --hotplug COMMAND                run it as `COMMAND online|offline type_if=vif` with a script's environment, "
    "instead\n"
    "                                     of writing hotplug-status=connected\n"
    "    --hotplug-delay MS               wait before that      --wait SECONDS   for the back end (10)\n"
    "  init                               write domain 0's nodes\n";

static int fail(const char *what)
{
    fprintf(stderr, "simxen: %s: %s\n", what, strerror(errno));
    return 1;
}

static int usage(void)
{
    fputs(usage_text, stderr);
    return 2;
}

static bool domid_parse(const char *text, uint32_t *ret_domid)
{
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;

    if (!text || end == text || *end || value >= SIM_DOMID_MAX)
        return false;
    *ret_domid = (uint32_t)value;
    return true;
}

static int control(const struct sim_request *request, struct sim_reply *reply)
{
    struct sim_client client;
    int result, saved;

    if (sim_client_open(&client, SIM_KIND_CONTROL, 0, true, NULL, 0))
        return -1;
    result = sim_client_call(&client, request, NULL, 0, reply, NULL, 0, NULL, 0);
    saved = errno;
    sim_client_close(&client);
    errno = saved;
    return result;
}

static bool domain_exists(uint32_t domid)
{
    struct sim_client client;
    bool exists;

    if (sim_client_open(&client, SIM_KIND_CONTROL, 0, true, NULL, 0))
        return false;
    exists = sim_client_domain(&client, domid) != NULL;
    sim_client_close(&client);
    errno = ESRCH;
    return exists;
}

static int do_create(char **argv)
{
    struct sim_request request = {.op = SIM_OP_CREATE};
    char name[64] = "", text[UUID_STR_LEN];
    struct sim_reply reply;
    struct xs_handle *xs;
    uuid_t uuid;
    int error;

    for (; *argv; argv += 2) {
        if (!strcmp(argv[0], "--domid") && domid_parse(argv[1], &request.arg[0]))
            continue;
        if (!strcmp(argv[0], "--name") && argv[1])
            snprintf(name, sizeof(name), "%s", argv[1]);
        else
            return usage();
    }
    uuid_generate(uuid);
    uuid_unparse_lower(uuid, text);
    memcpy(&request.arg[1], uuid, sizeof(uuid));
    if (control(&request, &reply))
        return fail("create");
    if (!*name)
        snprintf(name, sizeof(name), "guest-%u", reply.value[0]);
    xs = xs_open(0);
    if (!xs)
        return fail("xenstored");
    error = nodes_domain_write(xs, reply.value[0], reply.value[1], text, name);
    xs_close(xs);
    if (error) {
        errno = -error;
        return fail("xenstore nodes of the domain");
    }
    printf("%u\n", reply.value[0]);
    return 0;
}

static int do_destroy(char **argv)
{
    struct sim_request request = {.op = SIM_OP_DESTROY};
    bool abrupt = argv[0] && argv[1] && !strcmp(argv[1], "--abrupt");
    struct sim_reply reply;
    struct xs_handle *xs;

    if (!domid_parse(argv[0], &request.arg[0]) || (argv[1] && !abrupt))
        return usage();
    if (!domain_exists(request.arg[0]))
        return fail("destroy");
    xs = xs_open(0);
    if (!xs)
        return fail("xenstored");
    if (!abrupt)
        nodes_backends_close(xs, request.arg[0], 10);
    if (control(&request, &reply)) {
        xs_close(xs);
        return fail("destroy");
    }
    nodes_domain_remove(xs, request.arg[0]);
    xs_close(xs);
    return 0;
}

static int do_list(char **argv)
{
    struct sim_client client;

    if (*argv)
        return usage();
    if (sim_client_open(&client, SIM_KIND_CONTROL, 0, true, NULL, 0))
        return fail("broker");
    printf("%5s %-6s %6s %6s %6s %8s\n", "domid", "state", "ports", "grants", "mapped", "revoked");
    for (uint32_t domid = 0; domid < SIM_DOMID_MAX; domid++) {
        const struct sim_domain *domain = sim_client_domain(&client, domid);

        if (domain)
            printf("%5u %-6s %6u %6u %6u %8llu\n", domid,
                   atomic_load(&domain->state) == SIM_DOMAIN_DYING ? "dying" : "alive", atomic_load(&domain->ports),
                   atomic_load(&domain->grants), atomic_load(&domain->foreign_maps),
                   (unsigned long long)atomic_load(&domain->revoked_while_mapped));
    }
    sim_client_close(&client);
    return 0;
}

static int do_fault(char **argv)
{
    struct sim_request request = {.op = SIM_OP_FAULT};
    struct sim_fault_rule rule;
    struct sim_reply reply;
    const char *text;

    if (!domid_parse(argv[0], &request.arg[0]) || !argv[1] || argv[2])
        return usage();
    if (!strcmp(argv[1], "none"))
        return control(&request, &reply) ? fail("fault") : 0;
    for (text = argv[1]; *text;) {
        if (sim_fault_parse(&text, &rule)) {
            fprintf(stderr, "simxen: not a rule: %s\n", text);
            return 2;
        }
        request.arg[1] = (uint32_t)rule.op << 16 | (uint32_t)rule.action;
        request.arg[2] = rule.n;
        request.arg[3] = rule.argument;
        request.arg[4] = rule.bytes;
        if (control(&request, &reply))
            return fail("fault");
    }
    return 0;
}

static int do_exec(char **argv)
{
    const char *dir = getenv("SIMXEN_DIR");
    char path[4096];
    uint32_t domid;

    if (!domid_parse(argv[0], &domid) || !argv[1] || !dir)
        return usage();
    if (domid) {
        snprintf(path, sizeof(path), "%s/xenbus-%u", dir, domid);
        if (access(path, F_OK))
            return fail(path);
        setenv("XENSTORED_PATH", path, 1);
    }
    setenv("SIMXEN_DOMID", argv[0], 1);
    execvp(argv[1], argv + 1);
    return fail(argv[1]);
}

static int do_init(char **argv)
{
    struct xs_handle *xs;
    int error;

    if (*argv)
        return usage();
    xs = xs_open(0);
    if (!xs)
        return fail("xenstored");
    error = nodes_dom0_write(xs);
    xs_close(xs);
    errno = -error;
    return error ? fail("xenstore nodes of domain 0") : 0;
}

static int do_vif_attach(char **argv)
{
    int status = vif_attach(argv);

    return status == 2 ? usage() : status;
}

static int do_vif_detach(char **argv)
{
    int status = vif_detach(argv);

    return status == 2 ? usage() : status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **argv);
    } command[] = {
        {"create", do_create},
        {"destroy", do_destroy},
        {"list", do_list},
        {"fault", do_fault},
        {"exec", do_exec},
        {"init", do_init},
        {"vif-attach", do_vif_attach},
        {"vif-detach", do_vif_detach},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(command) / sizeof(command[0]); i++) {
        if (!strcmp(argv[1], command[i].name))
            return command[i].run(argv + 2);
    }
    return usage();
}
