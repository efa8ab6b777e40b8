/*
 * Connections from their first segment to their last. Each flow of a queue is a place in which one connection
 * follows another; places next to each other are at different segments, so that bursts are mixed. A connection's
 * segments are one pass apart from each other. Sequence numbers stay as they are: this is no TCP.
 */
#ifndef SEGMENT_H
#define SEGMENT_H

#include "queue.h"

#include <string.h>

#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

#define ETHER 14u
#define AHEAD 48u /* frames, and their hashes, asked of the memory before they are copied */
/* Sets of clients until the first come again: two words of 14 bits, see Trace in Rust. */
#define CLIENTS 0x3fffu
#define OPENS RTE_TCP_SYN_FLAG
#define ACKS RTE_TCP_ACK_FLAG
#define CARRIES (RTE_TCP_PSH_FLAG | RTE_TCP_ACK_FLAG)
#define CLOSES (RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG)
#define ACCEPTS (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)

/* One segment of a connection. */
struct segment {
	uint8_t reply;
	uint8_t flags;
};

static __rte_always_inline uint32_t transport(int ipv6)
{
	return ETHER + (ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr));
}

static __rte_always_inline uint16_t word_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static __rte_always_inline void set_word(uint8_t *at, uint16_t word)
{
	at[0] = (uint8_t)(word >> 8);
	at[1] = (uint8_t)word;
}

/* Other flags in a TCP header, with its checksum: one's complement arithmetic (RFC 1624). */
static __rte_always_inline void set_flags(uint8_t *tcp, uint8_t flags)
{
	uint32_t sum = (uint16_t)~word_at(tcp + 16);

	sum += 0xffffu - tcp[13] + flags;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	tcp[13] = flags;
	set_word(tcp + 16, (uint16_t)~sum);
}

/* Another client: what one word of its address gains another one loses, so that no checksum changes. */
static __rte_always_inline void set_client(uint8_t *frame, int ipv6, uint16_t set)
{
	uint8_t *high = frame + (ipv6 ? 24 : 26), *low = frame + (ipv6 ? 36 : 28);

	set_word(high, (uint16_t)(word_at(high) + set));
	set_word(low, (uint16_t)(word_at(low) - set));
}

static __rte_always_inline void copy_frame(uint8_t *to, const uint8_t *from, uint32_t stride)
{
	memcpy(to, from, 64);
	if (stride > 64)
		memcpy(to + 64, from + 64, 64);
}

/* What the next segment of the n-th place is, and how old the connections there are, in segments. */
static __rte_always_inline const struct segment *segment_of(const struct queue *q, uint32_t n, uint32_t *age)
{
	uint32_t last = (1u << q->stages) - 1;

	*age = q->pass + (n & last);
	return &q->segments[*age & last];
}

/* What the n-th place's next segment is made of. */
static __rte_always_inline const uint8_t *model_of(const struct queue *q, uint32_t n, const struct segment *segment)
{
	return (segment->reply ? q->answers : q->frames) + (size_t)n * q->stride;
}

/* Writes the next segment of the place that is next, and asks for what a later one is made of. */
static __rte_always_inline void next_segment(const struct queue *q, uint8_t *frame)
{
	uint32_t age, later, n = q->next + AHEAD;
	const struct segment *segment = segment_of(q, q->next, &age);

	/* May point behind the end, which harms nobody. */
	rte_prefetch0(model_of(q, n, segment_of(q, n, &later)));
	copy_frame(frame, model_of(q, q->next, segment), q->stride);
	if (!segment->reply)
		set_client(frame, q->ipv6, (uint16_t)((age >> q->stages) % CLIENTS));
	set_flags(frame + transport(q->ipv6), segment->flags);
}

#endif
