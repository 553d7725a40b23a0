/*
 * The helper under sanitizers: random datagrams on real sockets, from the source that it expects and from another,
 * for paths in random states, half of them over connected sockets.  What it calls instead of libsrtp refuses, grows
 * and shrinks packets at random.
 *
 * usage: fuzz SECONDS [SEED]      SEED: as an earlier run has printed it
 */
#include "settled.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATHS 8

static uint64_t state;

static uint32_t draw(void) /* xorshift64* */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32);
}

static uint64_t transformed;

static int transform(void *context, void *packet, int *length)
{
	unsigned char *octets = packet;
	int i;

	if (*length < 12 || draw() % 16 == 0)
		return 1;
	/* All that it may touch. */
	for (i = 12; i < *length; i++)
		octets[i] ^= 0x55;
	if (*(int *)context) {
		*length -= 10;
	} else {
		for (i = 0; i < 16; i++)
			octets[*length + i] = (unsigned char)i;
		*length += draw() % 2 ? 10 : 16;
	}
	transformed++;
	return 0;
}

static int bound(int family, int *port)
{
	struct sockaddr_storage here = {0};
	socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int opened = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	here.ss_family = (sa_family_t)family;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)&here)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&here)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (opened < 0 || bind(opened, (struct sockaddr *)&here, size) ||
	    getsockname(opened, (struct sockaddr *)&here, &size)) {
		perror("fuzz");
		exit(2);
	}
	*port = ntohs(family == AF_INET6 ? ((struct sockaddr_in6 *)&here)->sin6_port
	                                 : ((struct sockaddr_in *)&here)->sin_port);
	return opened;
}

static int make(unsigned char *packet, const struct settled_path *path)
{
	int length = (int)(draw() % (draw() % 8 ? 300 : 2100)), i;
	uint16_t sequence = (uint16_t)(path->sequence + (draw() % 8 ? 1 : draw()));
	uint32_t timestamp = path->timestamp + (draw() % 8 ? 160 : draw()), ssrc = path->ssrc + (draw() % 16 == 0);

	for (i = 0; i < length; i++)
		packet[i] = (unsigned char)draw();
	if (length < 12 || draw() % 16 == 0)
		return length;
	packet[0] = draw() % 4 ? 0x80 : (unsigned char)(0x80 | draw() % 64);
	packet[1] = (unsigned char)(path->payload_type | (draw() % 2 ? 0x80 : 0));
	packet[2] = (unsigned char)(sequence >> 8), packet[3] = (unsigned char)sequence;
	for (i = 0; i < 4; i++) {
		packet[4 + i] = (unsigned char)(timestamp >> (24 - 8 * i));
		packet[8 + i] = (unsigned char)(ssrc >> (24 - 8 * i));
	}
	/* Extensions of all lengths, mostly short ones. */
	if (packet[0] & 0x10 && length >= 12 + 4 * (packet[0] & 15) + 4 && draw() % 4)
		packet[12 + 4 * (packet[0] & 15) + 2] = 0;
	return length;
}

static void begin(struct settled_path *path)
{
	path->ssrc = draw();
	path->timestamp = draw();
	path->sequence = (uint16_t)draw();
	path->payload_type = draw() % 2 ? (uint8_t)(draw() % 128) : 0;
	path->own_payload_type = draw() % 4 ? path->payload_type : (uint8_t)(draw() % 128);
	path->tick = draw() % 4 ? 1.0 / 8000 : 0.0;
	path->transit = -(double)path->timestamp * path->tick;
	path->jitter = path->worst = 0;
	path->own_ssrc = draw();
	path->offset = draw();
	path->own_sequence = (uint16_t)draw();
}

int main(int count, char **arguments)
{
	time_t end = time(NULL) + (count > 1 ? atoi(arguments[1]) : 2);
	int epoll = epoll_create1(0), families[2] = {AF_INET, AF_INET6}, contexts[2] = {0, 1}, i, what;
	const char *hosts[2] = {"127.0.0.1", "::1"};
	int peers[2], strangers[2], peer_ports[2], ports[PATHS], ignored;
	uint64_t sent = 0, relayed = 0, back = 0, unread = 0, shown = 0;
	struct settled_path paths[PATHS] = {0};
	struct settled_reader *reader = settled_open(epoll);

	state = (uint64_t)(count > 2 ? atoll(arguments[2]) : (long long)end) * 2 + 1;
	printf("seed %llu\n", (unsigned long long)state / 2);
	fflush(stdout);
	for (i = 0; i < 2; i++) {
		peers[i] = bound(families[i], &peer_ports[i]);
		strangers[i] = bound(families[i], &ignored);
	}
	for (i = 0; i < PATHS; i++) {
		struct epoll_event wanted = {.events = EPOLLIN};

		paths[i].arrival = paths[i].departure = bound(families[i % 2], &ports[i]);
		paths[i].secure = i / 2 % 2;
		paths[i].transform = transform;
		paths[i].context = &contexts[paths[i].secure];
		if (settled_addresses(&paths[i], hosts[i % 2], peer_ports[i % 2], hosts[i % 2], peer_ports[i % 2]))
			return 2;
		if (i / 4) {
			socklen_t size = i % 2 ? sizeof paths[i].source.six : sizeof paths[i].source.four;

			if (connect(paths[i].arrival, &paths[i].source.any, size))
				return 2;
			paths[i].connected = 1;
		}
		wanted.data.fd = paths[i].arrival;
		epoll_ctl(epoll, EPOLL_CTL_ADD, paths[i].arrival, &wanted);
	}
	while (time(NULL) < end) {
		unsigned char packet[SETTLED_LIMIT + 100];

		for (i = 0; i < PATHS; i++) {
			int secure = draw() % 8 == 0 ? strangers[i % 2] : peers[i % 2], length;
			struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
			struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};

			if (draw() % 3 == 0) {
				begin(&paths[i]);
				settled_arm(reader, &paths[i]);
			} else if (draw() % 32 == 0) {
				settled_disarm(reader, paths[i].arrival);
			}
			paths[i].show = draw() % 8 == 0;
			length = make(packet, &paths[i]);
			four.sin_port = six.sin6_port = htons((uint16_t)ports[i]);
			if (i % 2)
				sendto(secure, packet, (size_t)length, 0, (struct sockaddr *)&six, sizeof six);
			else
				sendto(secure, packet, (size_t)length, 0, (struct sockaddr *)&four, sizeof four);
			sent++;
		}
		settled_begin(reader, 0, (int)(draw() % 2));
		while ((what = settled_next(reader)) != SETTLED_DONE) {
			if (what == SETTLED_UNREAD) {
				unread += recv(reader->descriptor, packet, sizeof packet, 0) >= 0;
			} else if (what == SETTLED_SHOWN) {
				shown++;
				if (reader->length < 0 || reader->length > SETTLED_LIMIT)
					return 1;
			} else {
				back++;
				if (reader->length < 0 || reader->length > SETTLED_LIMIT + 1 || !reader->host[0])
					return 1;
				/* Python takes the direction back. */
				settled_disarm(reader, reader->descriptor);
			}
			/* And whatever it does besides. */
			i = (int)(draw() % PATHS);
			if (draw() % 4 == 0)
				settled_disarm(reader, paths[i].arrival);
			else if (draw() % 4 == 0)
				settled_arm(reader, &paths[i]);
			else if (draw() % 4 == 0)
				settled_forget(reader, paths[i].arrival);
		}
		for (i = 0; i < 2; i++)
			while (recv(peers[i], packet, sizeof packet, 0) >= 0)
				relayed++;
	}
	settled_close(reader);
	printf("%llu datagrams: %llu relayed, %llu back, %llu not read\n", (unsigned long long)sent,
	       (unsigned long long)relayed, (unsigned long long)back, (unsigned long long)unread);
	for (i = 0, sent = 0; i < PATHS; i++)
		sent += paths[i].sent;
	/* Each of them was really there, and what was counted as sent was. */
	return relayed > 100 && back > 100 && unread > 100 && shown > 100 && sent == relayed && transformed >= relayed ? 0 : 1;
}
