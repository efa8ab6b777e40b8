/* A queue pair and the device that it belongs to. */
#ifndef QUEUE_H
#define QUEUE_H

#include "incore.h"

#include <rte_ether.h>
#include <rte_mbuf.h>

#define QUEUES 16
#define RING 512u /* frames between copy and delivery */
/* Eight bytes of a buffer that drivers write at once: data offset, references, segments, port. */
#define REARM offsetof(struct rte_mbuf, data_off)

/* Every queue goes through them in this order; none begins with one before all are through with the last. */
enum phase {
	LEARN = 0,   /* requests (SYNs in TCP), and what the application makes of each is kept as its reply */
	ANSWER = 1,  /* the replies to SYNs; TCP in both directions alone */
	FORWARD = 2, /* requests and replies in turn, half a pass apart; in TCP ACKs, or whole connections */
};

struct queue {
	/* receive */
	struct rte_mempool *pool;
	uint8_t *frames;
	uint32_t *hashes;
	uint32_t count, next, stride, length, packet_type;
	uint64_t flags, rearm;
	uint32_t head, polls;
	uint64_t rx, empty, tsc;
	struct rte_mbuf *ring[RING];
	struct report *report;
	/* late polls */
	uint64_t polled, late_after, late;
	long switches;
	/* connection after connection (see segment.h): a power of two of segments; 0: not so */
	uint32_t stages, pass;
	const struct segment *segments;
	uint8_t *answers; /* as frames, what replies are made of */
	int ipv6;
	/* between passes */
	struct incore *device;
	uint32_t number, phase, through;
	/* transmit */
	uint64_t tx __rte_cache_aligned;
	uint64_t bursts, checked, wrong;
	uint32_t *flows; /* while learning: which flow a frame is of */
	uint8_t *known;  /* and whether its reply is */
	uint32_t learned, learning;
} __rte_cache_aligned;

struct incore {
	struct rte_ether_addr mac;
	struct queue queues[QUEUES];
	struct report *reports;
	const struct trace_header *trace;
	size_t trace_bytes;
	uint8_t *replies; /* by flow, at the trace's stride */
	uint32_t through[FORWARD + 1]; /* queues that are through with a phase */
	uint16_t started, queue_count;
};

/* Delivers up to `count` frames. */
uint16_t receive(void *queue, struct rte_mbuf **packets, uint16_t count);

/* Fills the ring between copy and delivery. */
void prime(struct queue *q);

/* Gives a queue its frames for its phase, in huge pages. 0, or a negative error number. */
int deal(struct queue *q);

/* All frames were copied once. Begins with the next phase when it is time. */
void end_of_pass(struct queue *q);

/* Keeps what was sent as the reply to the frame that it was made of; of TCP only what opens. */
void learn(struct queue *q, struct rte_mbuf *const *packets, uint16_t count);

#endif
