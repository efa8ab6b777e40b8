/* Frames of the trace into buffers of the application's pool, and, a ring later, those to the application. */
#define _GNU_SOURCE
#include "queue.h"
#include "segment.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <rte_cycles.h>

#define MOST_AT_ONCE 64u
#define REPORT_POLLS 1024u /* polls between two looks at the clock */

static __rte_always_inline void fill(struct queue *q, uint32_t count)
{
	struct rte_mbuf *fresh[MOST_AT_ONCE];
	uint32_t i;

	if (unlikely(rte_mempool_get_bulk(q->pool, (void **)fresh, count) != 0)) {
		/* As a NIC without descriptors: the places stay empty until there are buffers again. */
		memset(fresh, 0, sizeof(fresh));
		q->empty++;
	}
	for (i = 0; i < count; i++) {
		struct rte_mbuf *m = fresh[i];
		uint8_t *frame;

		q->ring[(q->head + i) % RING] = m;
		if (unlikely(m == NULL))
			continue;
		frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
		if (likely(q->stages == 0)) {
			/* May point behind the end, which harms nobody. */
			rte_prefetch0(q->frames + (size_t)(q->next + AHEAD) * q->stride);
			rte_prefetch0(q->hashes + q->next + AHEAD);
			copy_frame(frame, q->frames + (size_t)q->next * q->stride, q->stride);
		} else {
			next_segment(q, frame);
		}
		memcpy((uint8_t *)m + REARM, &q->rearm, sizeof(q->rearm));
		m->ol_flags = q->flags;
		m->packet_type = q->packet_type;
		m->pkt_len = q->length;
		m->data_len = q->length;
		m->vlan_tci = 0;
		m->hash.rss = q->hashes[q->next];
		/* No flag says that it is there; it comes back with the buffer when this is sent. */
		m->hash.fdir.hi = q->next;
		if (unlikely(++q->next == q->count)) {
			q->pass++;
			end_of_pass(q);
		}
	}
	q->head = (q->head + count) % RING;
}

/* Whether the thread had to leave its CPU since this was asked last. */
static int was_switched(struct queue *q)
{
	struct rusage usage;
	long before = q->switches;

	getrusage(RUSAGE_THREAD, &usage);
	q->switches = usage.ru_nivcsw + usage.ru_nvcsw;
	return q->switches != before;
}

/* Between two polls the application has done one round. One that another thread interrupted says nothing. */
static __rte_noinline void note_late(struct queue *q)
{
	q->late += !was_switched(q) && q->phase == FORWARD;
}

static __rte_noinline void report(struct queue *q)
{
	struct report *r = q->report;
	struct timespec cpu;
	uint64_t tsc = rte_rdtsc();

	if (r == NULL || tsc - q->tsc < rte_get_tsc_hz() / 100)
		return;
	q->tsc = tsc;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	if (q->late_after != 0)
		was_switched(q);
	r->sequence++;
	rte_smp_wmb();
	r->tsc = tsc;
	r->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	r->rx = q->rx;
	r->tx = q->tx;
	r->checked = q->checked;
	r->wrong = q->wrong;
	r->empty = q->empty;
	r->phase = q->phase;
	r->late = q->late;
	rte_smp_wmb();
	r->sequence++;
}

uint16_t receive(void *queue, struct rte_mbuf **packets, uint16_t count)
{
	struct queue *q = queue;
	uint32_t wanted = RTE_MIN((uint32_t)count, MOST_AT_ONCE), got = 0, i;

	for (i = 0; i < wanted; i++) {
		struct rte_mbuf *m = q->ring[(q->head + i) % RING];

		if (likely(m != NULL))
			packets[got++] = m;
	}
	if (q->late_after != 0) {
		uint64_t now = rte_rdtsc();

		if (unlikely(now - q->polled > q->late_after))
			note_late(q);
		q->polled = now;
	}
	fill(q, wanted);
	q->rx += got;
	if (unlikely(++q->polls % REPORT_POLLS == 0))
		report(q);
	return (uint16_t)got;
}

void prime(struct queue *q)
{
	uint32_t i;

	for (i = 0; i < RING; i += MOST_AT_ONCE)
		fill(q, MOST_AT_ONCE);
}
