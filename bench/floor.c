/*
 * What forwarding costs when nothing is done with the packets: pairs of UDP sockets, each packet that comes in at one of
 * a pair goes out by the other, to whoever sent there last. One epoll, one recvfrom and one sendto for each packet, as
 * a relay with a socket for each stream cannot do with less.
 *
 * usage: floor PAIRS      prints the ports, one pair on a line, and works until its standard input ends
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
	int socket;
	struct sockaddr_in peer; /* sin_port 0: nobody has sent yet */
	struct side *other;
};

static int open_side(struct side *side)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof here;

	side->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (side->socket < 0 || bind(side->socket, (struct sockaddr *)&here, sizeof here) ||
	    getsockname(side->socket, (struct sockaddr *)&here, &length)) {
		perror("floor");
		exit(1);
	}
	return ntohs(here.sin_port);
}

int main(int count, char **arguments)
{
	int pairs = count > 1 ? atoi(arguments[1]) : 1;
	struct side *sides = calloc(2 * pairs, sizeof *sides);
	struct epoll_event events[64], wanted = {.events = EPOLLIN};
	int all = epoll_create1(0), ready, i;
	char packet[2048];

	for (i = 0; i < pairs; i++) {
		struct side *one = sides + 2 * i, *other = one + 1;
		int first = open_side(one), second = open_side(other);
		one->other = other;
		other->other = one;
		wanted.data.ptr = one;
		epoll_ctl(all, EPOLL_CTL_ADD, one->socket, &wanted);
		wanted.data.ptr = other;
		epoll_ctl(all, EPOLL_CTL_ADD, other->socket, &wanted);
		printf("%d %d\n", first, second);
	}
	fflush(stdout);
	wanted.data.ptr = NULL;
	epoll_ctl(all, EPOLL_CTL_ADD, STDIN_FILENO, &wanted);
	for (;;) {
		ready = epoll_wait(all, events, 64, -1);
		for (i = 0; i < ready; i++) {
			struct side *side = events[i].data.ptr;
			socklen_t length = sizeof side->peer;
			ssize_t size;

			if (!side)
				return 0;
			size = recvfrom(side->socket, packet, sizeof packet, 0, (struct sockaddr *)&side->peer, &length);
			if (size > 0 && side->other->peer.sin_port)
				sendto(side->other->socket, packet, size, 0, (struct sockaddr *)&side->other->peer,
				       sizeof side->other->peer);
		}
	}
}
