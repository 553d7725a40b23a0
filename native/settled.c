#include "settled.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static uint16_t read16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const unsigned char *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

static void write16(unsigned char *at, uint16_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static void write32(unsigned char *at, uint32_t value)
{
	write16(at, (uint16_t)(value >> 16));
	write16(at + 2, (uint16_t)value);
}

struct settled_reader *settled_open(int epoll)
{
	struct settled_reader *reader = calloc(1, sizeof *reader);

	if (reader)
		reader->epoll = epoll;
	return reader;
}

void settled_close(struct settled_reader *reader)
{
	if (reader)
		free(reader->paths);
	free(reader);
}

static int address(struct sockaddr *to, int family, const char *host, int port)
{
	if (family == AF_INET6) {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;

		memset(six, 0, sizeof *six);
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
	}
	struct sockaddr_in *four = (struct sockaddr_in *)to;

	memset(four, 0, sizeof *four);
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

int settled_addresses(struct settled_path *path, const char *source, int source_port, const char *destination,
                      int destination_port)
{
	int from = strchr(source, ':') ? AF_INET6 : AF_INET, to = strchr(destination, ':') ? AF_INET6 : AF_INET;

	if (!address(&path->source.any, from, source, source_port) ||
	    !address(&path->destination.any, to, destination, destination_port))
		return -1;
	return 0;
}

int settled_arm(struct settled_reader *reader, struct settled_path *path)
{
	if (path->arrival >= reader->room) {
		int room = path->arrival + 64;
		struct settled_path **paths = realloc(reader->paths, (size_t)room * sizeof *paths);

		if (!paths)
			return -1;
		memset(paths + reader->room, 0, (size_t)(room - reader->room) * sizeof *paths);
		reader->paths = paths;
		reader->room = room;
	}
	reader->paths[path->arrival] = path;
	return 0;
}

void settled_disarm(struct settled_reader *reader, int descriptor)
{
	if (descriptor >= 0 && descriptor < reader->room)
		reader->paths[descriptor] = NULL;
}

void settled_forget(struct settled_reader *reader, int descriptor)
{
	for (int i = reader->done; i < reader->came_count; i++)
		if (reader->came[i].descriptor == descriptor)
			reader->came[i].descriptor = -1;
}

static struct settled_path *lent(const struct settled_reader *reader, int descriptor)
{
	return descriptor < reader->room ? reader->paths[descriptor] : NULL;
}

static int same(const struct sockaddr *one, const struct sockaddr *other)
{
	if (one->sa_family != other->sa_family)
		return 0;
	if (one->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)one, *b = (const struct sockaddr_in6 *)other;

		return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
		       !memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr);
	}
	const struct sockaddr_in *a = (const struct sockaddr_in *)one, *b = (const struct sockaddr_in *)other;

	return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* Octets before the payload; 0: it is not all there.  As parseRTP of wire/rtp.py. */
static int header_length(const unsigned char *packet, int length)
{
	int header = 12 + 4 * (packet[0] & 0x0F);

	if (packet[0] & 0x10) {
		if (length < header + 4)
			return 0;
		header += 4 + 4 * read16(packet + header + 2);
	}
	return length < header ? 0 : header;
}

/* Do all that is to be done with a packet; 0: it was nothing usual, and nothing was done. */
static int relay(struct settled_reader *reader, struct settled_path *path, const unsigned char *packet, int length)
{
	const double now = reader->now;
	unsigned char *work = reader->leaving[reader->waiting].packet;
	int header, size = length;
	uint16_t sequence;
	uint32_t timestamp;
	double transit, apart;

	if (length < 12 || length > SETTLED_LIMIT || packet[0] >> 6 != 2 || (packet[1] & 0x7F) != path->payload_type ||
	    (packet[1] >= 192 && packet[1] <= 223))
		return 0;
	header = header_length(packet, length);
	if (!header || (path->secure && length < header + SETTLED_TAG))
		return 0;
	sequence = read16(packet + 2);
	timestamp = read32(packet + 4);
	if (sequence != (uint16_t)(path->sequence + 1) || read32(packet + 8) != path->ssrc)
		return 0;
	if (timestamp - path->timestamp > SETTLED_STEP)
		return 0;
	transit = now - timestamp * path->tick;
	apart = transit > path->transit ? transit - path->transit : path->transit - transit;
	if (!(apart <= SETTLED_JUMP))
		return 0;

	/* In a copy: what libsrtp refuses goes back as it came. */
	memcpy(work, packet, (size_t)length);
	if (!path->secure) {
		work[1] = (unsigned char)((packet[1] & 0x80) | path->own_payload_type);
		write16(work + 2, (uint16_t)(path->own_sequence + 1));
		write32(work + 4, timestamp + path->offset);
		write32(work + 8, path->own_ssrc);
	}
	if (path->transform(path->context, work, &size) || size < 0 || size > (int)sizeof reader->leaving[0].packet)
		return 0;

	if (path->secure) /* not before: the tag covers it */
		work[1] = (unsigned char)((packet[1] & 0x80) | path->own_payload_type);
	path->sequence = sequence;
	path->own_sequence++;
	path->timestamp = timestamp;
	path->recent[sequence % SETTLED_RECENT] = (int64_t)((uint64_t)sequence << 32 | timestamp);
	path->time = now;
	path->transit = transit;
	path->jitter += (apart - path->jitter) / 16;
	if (path->jitter > path->worst)
		path->worst = path->jitter;
	path->packets++;
	path->octets += (uint64_t)length;
	path->payload += (uint64_t)(length - header);
	reader->leaving[reader->waiting].path = path;
	reader->leaving[reader->waiting++].size = size;
	return 1;
}

/* 0, or what is wrong. */
static int one_leaves(const struct settled_path *path, const unsigned char *packet, int size)
{
	/* To whom it is connected the kernel knows the way. */
	const struct sockaddr *to = path->connected ? NULL : &path->destination.any;
	socklen_t length = path->destination.any.sa_family == AF_INET6 ? sizeof path->destination.six
	                                                               : sizeof path->destination.four;

	return sendto(path->departure, packet, (size_t)size, 0, to, to ? length : 0) < 0 ? errno : 0;
}

static void leave(struct settled_reader *reader)
{
	for (int i = 0; i < reader->waiting; i++) {
		struct settled_path *path = reader->leaving[i].path;
		int size = reader->leaving[i].size, left = one_leaves(path, reader->leaving[i].packet, size);

		if (left == ECONNREFUSED) { /* that was the one before: this one has not left yet */
			path->closed++;
			left = one_leaves(path, reader->leaving[i].packet, size);
		}
		if (left == EDESTADDRREQ && path->connected) { /* not any more: another process has the socket, too */
			path->connected = 0;
			left = one_leaves(path, reader->leaving[i].packet, size);
		}
		if (!left) {
			path->sent++;
			path->sent_octets += (uint64_t)size;
		} else {
			path->unsent++;
		}
	}
	reader->waiting = 0;
}

static void look(struct settled_reader *reader)
{
	reader->next = 0;
	reader->ready = epoll_wait(reader->epoll, reader->events, SETTLED_BATCH, 0);
	if (reader->ready < 0)
		reader->ready = 0;
	reader->count += reader->ready;
}

void settled_begin(struct settled_reader *reader, double now, int rests)
{
	reader->now = reader->begun = now;
	reader->rests = rests;
	reader->count = reader->ready = reader->next = 0;
	if (rests)
		clock_gettime(CLOCK_MONOTONIC, &reader->start);
	look(reader);
}

/* Let packets gather; 0: the turn is over. */
static int rest(struct settled_reader *reader)
{
	const struct timespec moment = {.tv_nsec = SETTLED_REST};
	struct timespec end;

	if (!reader->rests || !reader->ready || reader->ready == SETTLED_BATCH)
		return 0;
	reader->rests--;
	nanosleep(&moment, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	reader->now = reader->begun + (double)(end.tv_sec - reader->start.tv_sec) +
	              (double)(end.tv_nsec - reader->start.tv_nsec) / 1e9;
	look(reader);
	return reader->ready;
}

/* From sockets that are lent. */
static void fetch(struct settled_reader *reader)
{
	reader->came_count = reader->done = 0;
	while (reader->next < reader->ready && reader->came_count < SETTLED_GROUP) {
		struct settled_datagram *came = &reader->came[reader->came_count++];

		came->descriptor = reader->events[reader->next++].data.fd;
		came->lent = lent(reader, came->descriptor) != NULL;
		if (!came->lent)
			continue;
		came->size = sizeof came->from;
		came->from.any.sa_family = AF_UNSPEC;
		came->length = recvfrom(came->descriptor, came->packet, sizeof came->packet, 0, &came->from.any, &came->size);
		came->error = errno;
	}
}

static void back(struct settled_reader *reader, const unsigned char *packet, int length)
{
	memcpy(reader->packet, packet, (size_t)length);
	reader->length = length;
}

/* SETTLED_DONE: nothing that Python has to do. */
static int take(struct settled_reader *reader, const struct settled_datagram *came)
{
	struct settled_path *path;

	reader->descriptor = came->descriptor;
	if (came->descriptor < 0)
		return SETTLED_DONE;
	if (!came->lent)
		return SETTLED_UNREAD;
	if (came->length < 0)
		/* Or another error of an earlier packet: there will be others. */
		return came->error == ECONNREFUSED ? SETTLED_REFUSED : SETTLED_DONE;
	/* It may have been taken back since then. */
	path = lent(reader, came->descriptor);
	if (path && same(&came->from.any, &path->source.any) && relay(reader, path, came->packet, (int)came->length)) {
		if (!path->show)
			return SETTLED_DONE;
		path->show = 0;
		if (path->secure)
			back(reader, reader->leaving[reader->waiting - 1].packet, reader->leaving[reader->waiting - 1].size);
		else
			back(reader, came->packet, (int)came->length);
		return SETTLED_SHOWN;
	}
	if (getnameinfo(&came->from.any, came->size, reader->host, sizeof reader->host, NULL, 0, NI_NUMERICHOST))
		return SETTLED_DONE; /* no address that an answer could go to */
	reader->port = ntohs(came->from.any.sa_family == AF_INET6 ? came->from.six.sin6_port
	                                                          : ((const struct sockaddr_in *)&came->from.any)->sin_port);
	back(reader, came->packet, (int)came->length);
	return SETTLED_DATAGRAM;
}

int settled_next(struct settled_reader *reader)
{
	do {
		do {
			while (reader->done < reader->came_count) {
				int what = take(reader, &reader->came[reader->done++]);

				if (what != SETTLED_DONE) {
					leave(reader); /* nothing waits while Python does whatever it does */
					return what;
				}
			}
			leave(reader);
			fetch(reader);
		} while (reader->came_count);
	} while (rest(reader));
	return SETTLED_DONE;
}
