/*
 * Which frames a queue delivers: first requests, and from what the application makes of them the replies that
 * a real server would send. What is learned is the application's own work, so the device needs no idea of modes.
 */
#include "queue.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_thash.h>

/* Before this many requests for each flow none is taken for open. */
#define PASSES 2u
#define ONE_WAY_STAGES 2u
#define TWO_WAY_STAGES 3u
/* What an application sees that only requests pass. */
static const struct segment one_way[1 << ONE_WAY_STAGES] = { { 0, OPENS }, { 0, ACKS }, { 0, CARRIES }, { 0, CLOSES } };
/* And one that replies pass, too. */
static const struct segment two_way[1 << TWO_WAY_STAGES] = { { 0, OPENS },   { 1, ACCEPTS }, { 0, ACKS },   { 0, CARRIES },
					  { 1, CARRIES }, { 0, CLOSES },  { 1, CLOSES }, { 0, ACKS } };

/* The hash that a NIC with a symmetric key computes, in host order. */
static uint32_t hash_of(const uint8_t *frame, int ipv6)
{
	static uint8_t key[40] = { 0 };
	union rte_thash_tuple tuple;
	uint32_t length = ipv6 ? RTE_THASH_V6_L4_LEN : RTE_THASH_V4_L4_LEN;
	const uint8_t *ports = frame + transport(ipv6);
	unsigned int i;

	for (i = 0; i < sizeof(key); i += 2) {
		key[i] = 0x6d;
		key[i + 1] = 0x5a;
	}
	if (ipv6) {
		rte_thash_load_v6_addrs((const void *)(frame + ETHER), &tuple);
		tuple.v6.sport = (uint16_t)(ports[0] << 8 | ports[1]);
		tuple.v6.dport = (uint16_t)(ports[2] << 8 | ports[3]);
	} else {
		const struct rte_ipv4_hdr *v4 = (const void *)(frame + ETHER);

		tuple.v4.src_addr = rte_be_to_cpu_32(v4->src_addr);
		tuple.v4.dst_addr = rte_be_to_cpu_32(v4->dst_addr);
		tuple.v4.sport = (uint16_t)(ports[0] << 8 | ports[1]);
		tuple.v4.dport = (uint16_t)(ports[2] << 8 | ports[3]);
	}
	return rte_softrss((uint32_t *)&tuple, length, key);
}

static void swap(uint8_t *one, uint8_t *other, size_t bytes)
{
	uint8_t kept[16];

	memcpy(kept, one, bytes);
	memcpy(one, other, bytes);
	memcpy(other, kept, bytes);
}

/* From what reached a real server to what that one answers. No checksum changes by it. */
static void turn_round(uint8_t *frame, int ipv6)
{
	uint8_t *addresses = frame + ETHER + (ipv6 ? 8 : 12), *ports = frame + transport(ipv6);
	size_t bytes = ipv6 ? 16 : 4;

	swap(frame, frame + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
	swap(addresses, addresses + bytes, bytes);
	swap(ports, ports + 2, 2);
}

/* Where the reply goes that is made of this frame; NULL if it is none to be kept. */
static uint8_t *reply_to(struct queue *q, const uint8_t *frame, uint32_t n)
{
	/* The application may send frames of its own meanwhile. */
	if (n >= q->count)
		return NULL;
	if (q->phase == FORWARD)
		return frame[transport(q->ipv6) + 13] == OPENS ? q->answers + (size_t)n * q->stride : NULL;
	if (q->known[n])
		return NULL;
	q->known[n] = 1;
	q->learned++;
	return q->device->replies + (size_t)q->flows[n] * q->stride;
}

void learn(struct queue *q, struct rte_mbuf *const *packets, uint16_t count)
{
	uint16_t i;

	for (i = 0; i < count; i++) {
		const struct rte_mbuf *m = packets[i];
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
		uint8_t *reply = m->data_len == q->length ? reply_to(q, frame, m->hash.fdir.hi) : NULL;

		if (reply == NULL)
			continue;
		memcpy(reply, frame, q->length);
		turn_round(reply, q->ipv6);
	}
}

/* Flows that a phase is about. */
static uint32_t flows_in(const struct trace_header *t, uint32_t phase)
{
	return phase == FORWARD && t->active != 0 ? RTE_MIN(t->active, t->flows) : t->flows;
}

/* A phase's n-th frame, and its flow. */
static const uint8_t *frame_of(const struct incore *d, uint32_t phase, uint32_t n, uint32_t *flow)
{
	const struct trace_header *t = d->trace;
	const uint8_t *requests = (const uint8_t *)(t + 1);
	uint32_t flows = flows_in(t, phase);
	int in_turn = phase == FORWARD && t->replies && !t->opening;
	int reply = phase == ANSWER || (in_turn && n % 2 == 1);

	if (in_turn)
		n /= 2;
	/* Far from its request, or it would find everything warm that the request has touched. */
	*flow = reply ? (n + flows / 2) % flows : n;
	return (reply ? d->replies : requests) + (size_t)*flow * t->stride;
}

/* The queue that a frame comes in by. */
static uint32_t queue_of(const struct incore *d, const uint8_t *frame, uint32_t flow, uint32_t hash)
{
	const struct trace_header *t = d->trace;
	const uint8_t *requests = (const uint8_t *)(t + 1);

	if (!t->apart || (frame >= requests && frame < requests + (size_t)t->flows * t->stride))
		return hash % d->queue_count;
	return (hash_of(requests + (size_t)flow * t->stride, t->ipv6 != 0) + 1) % d->queue_count;
}

/* Copies a queue's frames behind each other, as they are in its phase. */
static void copy(struct queue *q, uint32_t frames, const uint32_t *hashes, const uint8_t *owners)
{
	const struct incore *d = q->device;
	const struct trace_header *t = d->trace;
	uint8_t flags = q->phase == ANSWER ? ACCEPTS : q->phase == LEARN || t->opening ? OPENS : ACKS;
	uint32_t i, at = 0, flow;

	for (i = 0; i < frames; i++) {
		uint8_t *own = q->frames + (size_t)at * t->stride;

		if (owners[i] != q->number)
			continue;
		memcpy(own, frame_of(d, q->phase, i, &flow), t->stride);
		if (t->tcp)
			set_flags(own + transport(q->ipv6), flags);
		if (q->flows != NULL)
			q->flows[at] = flow;
		if (q->answers != NULL)
			memcpy(q->answers + (size_t)at * t->stride, d->replies + (size_t)flow * t->stride, t->stride);
		q->hashes[at++] = hashes[i];
	}
}

static void let_go(struct queue *q)
{
	rte_free(q->frames);
	rte_free(q->hashes);
	free(q->flows);
	free(q->known);
	q->flows = NULL;
	q->known = NULL;
	q->count = q->next = 0;
}

/* Memory for what the phase needs. Not 0 if there is none. */
static int take(struct queue *q)
{
	const struct trace_header *t = q->device->trace;
	size_t bytes = (size_t)q->count * t->stride;
	int open = q->phase == FORWARD && t->opening;

	q->frames = rte_malloc(NULL, bytes, 64);
	q->hashes = rte_malloc(NULL, sizeof(uint32_t) * (size_t)q->count, 64);
	q->learning = t->replies && (q->phase == LEARN || open);
	if (q->learning && !open) {
		q->flows = malloc(sizeof(*q->flows) * q->count);
		q->known = calloc(q->count, 1);
	}
	if (q->learning && open)
		q->answers = rte_malloc(NULL, bytes, 64);
	if (open) {
		q->segments = t->replies ? two_way : one_way;
		q->stages = t->replies ? TWO_WAY_STAGES : ONE_WAY_STAGES;
		q->pass = 0;
	}
	return q->count == 0 || q->frames == NULL || q->hashes == NULL ||
	       (q->learning && (open ? q->answers == NULL : q->flows == NULL || q->known == NULL));
}

int deal(struct queue *q)
{
	const struct incore *d = q->device;
	const struct trace_header *t = d->trace;
	uint32_t each = q->phase == FORWARD && t->replies && !t->opening ? 2 : 1;
	uint32_t frames = each * flows_in(t, q->phase), i, flow;
	uint32_t *hashes = malloc(sizeof(*hashes) * frames);
	uint8_t *owners = malloc(frames);
	int result = -ENOMEM;

	let_go(q);
	for (i = 0; hashes != NULL && owners != NULL && i < frames; i++) {
		const uint8_t *frame = frame_of(d, q->phase, i, &flow);

		hashes[i] = hash_of(frame, q->ipv6);
		owners[i] = (uint8_t)queue_of(d, frame, flow, hashes[i]);
		q->count += owners[i] == q->number;
	}
	if (take(q) == 0) {
		copy(q, frames, hashes, owners);
		result = 0;
	}
	free(hashes);
	free(owners);
	return result;
}

/* Whether the queue has done what its phase is for. */
static int is_through(const struct queue *q)
{
	const struct trace_header *t = q->device->trace;

	switch (q->phase) {
	case LEARN:
		/* Until the application has its configuration it may drop what it gets. */
		return t->replies ? q->learned == q->count : q->tx >= PASSES * (uint64_t)q->count;
	case ANSWER:
		return 1;
	default:
		return 0;
	}
}

void end_of_pass(struct queue *q)
{
	struct incore *d = q->device;
	const struct trace_header *t = d->trace;

	q->next = 0;
	if (!q->through && is_through(q)) {
		q->through = 1;
		__atomic_fetch_add(&d->through[q->phase], 1, __ATOMIC_ACQ_REL);
	}
	/* A queue that is through repeats itself until all are. */
	if (!q->through || __atomic_load_n(&d->through[q->phase], __ATOMIC_ACQUIRE) != d->queue_count)
		return;
	q->phase = q->phase == LEARN && t->replies && t->tcp && !t->opening ? ANSWER : FORWARD;
	q->through = 0;
	if (deal(q) != 0)
		rte_panic("no memory for the frames of phase %u\n", q->phase);
	/* This took the device long, not the application. */
	q->polled = rte_rdtsc();
}
