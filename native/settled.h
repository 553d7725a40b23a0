/*
 * The settled case of a relayed packet: it comes from where the last one came from, it is the next one of the same
 * stream, and both sides have all they need.  What is anything else goes back to Python as it came, before anything
 * was changed by it.
 *
 * What each number is for, and what happens with a packet that goes back, stands where it is done in Python:
 * skypetrunk/media/statistics.py, stream.py, plain.py and secure.py.  Here are only their usual lines again.
 */
#ifndef SKYPETRUNK_SETTLED_H
#define SKYPETRUNK_SETTLED_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#define SETTLED_LIMIT 2048   /* DATAGRAM_LIMIT of media/srtp.py */
#define SETTLED_TRAILER 32   /* room for the tag behind the longest packet */
#define SETTLED_TAG 16       /* the longest tag */
#define SETTLED_BATCH 64     /* BATCH of media/poller.py */
#define SETTLED_RECENT 64    /* REORDERING of media/stream.py */
#define SETTLED_STEP 480000u /* MAX_TIMESTAMP_STEP of media/stream.py */
#define SETTLED_JUMP 2.0     /* JUMP of media/statistics.py */
#define SETTLED_REST 2000000 /* nanoseconds: REST of media/poller.py */
#define SETTLED_GROUP 16     /* packets read, then relayed, then sent: each part of the work stays in the caches */

enum { SETTLED_DONE, SETTLED_UNREAD, SETTLED_DATAGRAM, SETTLED_REFUSED, SETTLED_SHOWN };

/* srtp_protect or srtp_unprotect of libsrtp 2: in place, 0 when it is done. */
typedef int (*settled_transform)(void *context, void *packet, int *length);

struct settled_path {
	int arrival, departure;       /* descriptors */
	int secure;                   /* what comes in is SRTP; else what goes out is */
	int connected;                /* departure is, to destination */
	int show;                     /* the next packet is shown, once */
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} source, destination;
	settled_transform transform;
	void *context;

	/* the source's stream, as it was last */
	uint32_t ssrc, timestamp;
	uint16_t sequence;
	uint8_t payload_type, own_payload_type; /* as it comes, and as it leaves */
	double tick, transit, jitter, worst, time;

	/* ours, where we have one of our own */
	uint32_t own_ssrc, offset;
	uint16_t own_sequence;
	int64_t recent[SETTLED_RECENT];

	/* counted since Python looked last */
	uint64_t packets, octets, payload, sent, sent_octets, unsent, closed;
};

struct settled_reader {
	int epoll;
	struct settled_path **paths; /* by descriptor */
	int room;
	struct epoll_event events[SETTLED_BATCH];
	int ready, next;

	/* of this turn: how many rests it may still take, when it began and by which clock, what was ready in all */
	int rests, count;
	double now, begun;
	struct timespec start;

	/* what was read, and how many of them are done */
	int came_count, done;
	struct settled_datagram {
		int descriptor; /* -1: it was closed */
		int lent;       /* it was; else it is not read */
		int error;
		ssize_t length;
		socklen_t size;
		union {
			struct sockaddr any;
			struct sockaddr_in6 six;
		} from;
		unsigned char packet[SETTLED_LIMIT + 1];
	} came[SETTLED_GROUP];

	/* what is to leave */
	int waiting;
	struct {
		struct settled_path *path;
		int size;
		unsigned char packet[SETTLED_LIMIT + SETTLED_TRAILER];
	} leaving[SETTLED_GROUP];

	/* what goes back */
	int descriptor, length, port;
	char host[64];
	unsigned char packet[SETTLED_LIMIT + 1];
};

/* NULL: no memory.  The epoll is the caller's. */
struct settled_reader *settled_open(int epoll);
void settled_close(struct settled_reader *reader);

/* -1: not two literal addresses of one family. */
int settled_addresses(struct settled_path *path, const char *source, int source_port, const char *destination,
                      int destination_port);

/* From now on path takes what comes in at its descriptor; -1: no memory. */
int settled_arm(struct settled_reader *reader, struct settled_path *path);
void settled_disarm(struct settled_reader *reader, int descriptor);

/* It is about to be closed: what was read there is for nobody. */
void settled_forget(struct settled_reader *reader, int descriptor);

/*
 * A turn begins at the time now.  While something comes, and no more than is taken at a time, it lets packets gather
 * so many times before it is over.
 */
void settled_begin(struct settled_reader *reader, double now, int rests);

/*
 * Go on with what is ready.  SETTLED_UNREAD: nobody takes what is at descriptor; SETTLED_DATAGRAM: packet[0:length]
 * came there from host and port; SETTLED_REFUSED: the peer of descriptor does not listen; SETTLED_SHOWN: packet[0:length]
 * was relayed, and is in clear here; SETTLED_DONE: the turn is over, and count sockets were ready in it.
 */
int settled_next(struct settled_reader *reader);

#endif
