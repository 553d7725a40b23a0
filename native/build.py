"""
How the helper of L{skypetrunk.media.settled} is built, when skypetrunk is: where there is no compiler, or no
headers of Python, it is left out.
"""

from __future__ import annotations

from cffi import FFI

builder = FFI()
builder.cdef(
    """
    enum { SETTLED_DONE, SETTLED_UNREAD, SETTLED_DATAGRAM, SETTLED_REFUSED, SETTLED_SHOWN, ... };
    #define SETTLED_LIMIT ...
    #define SETTLED_BATCH ...
    #define SETTLED_RECENT ...
    #define SETTLED_STEP ...
    #define SETTLED_REST ...
    static const double SETTLED_JUMP;

    typedef int (*settled_transform)(void *context, void *packet, int *length);

    struct settled_path {
        int arrival, departure, secure, connected, show;
        settled_transform transform;
        void *context;
        uint32_t ssrc, timestamp;
        uint16_t sequence;
        uint8_t payload_type, own_payload_type;
        double tick, transit, jitter, worst, time;
        uint32_t own_ssrc, offset;
        uint16_t own_sequence;
        int64_t recent[...];
        uint64_t packets, octets, payload, sent, sent_octets, unsent, closed;
        ...;
    };

    struct settled_reader {
        int count, descriptor, length, port;
        double now;
        char host[...];
        unsigned char packet[...];
        ...;
    };

    struct settled_reader *settled_open(int epoll);
    void settled_close(struct settled_reader *reader);
    int settled_addresses(struct settled_path *path, const char *source, int source_port,
                          const char *destination, int destination_port);
    int settled_arm(struct settled_reader *reader, struct settled_path *path);
    void settled_disarm(struct settled_reader *reader, int descriptor);
    void settled_forget(struct settled_reader *reader, int descriptor);
    void settled_begin(struct settled_reader *reader, double now, int rests);
    int settled_next(struct settled_reader *reader);
    """
)
builder.set_source(
    "skypetrunk.media._settled",
    '#include "settled.h"',
    sources=["native/settled.c"],
    include_dirs=["native"],
    depends=["native/settled.h"],
    # Each operation rounded by itself, as in Python: the jitter is the same, whoever has counted.
    extra_compile_args=["-O2", "-ffp-contract=off"],
    optional=True,
)
