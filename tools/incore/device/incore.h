/* What the device reads and writes besides packets. The Rust side has the same layouts. */
#ifndef INCORE_H
#define INCORE_H

#include <stdint.h>

#define TRACE_MAGIC 0x31435254434e4946ull /* "FINCTRC1" in memory */

/* Head of a trace file; `flows` frames follow, each `stride` bytes from the last. */
struct trace_header {
	uint64_t magic;
	uint32_t flows;
	uint32_t stride; /* 64 or 128 */
	uint32_t length; /* of each frame */
	uint32_t ipv6;
	uint32_t tcp;
	uint32_t replies; /* the device answers, too */
	uint32_t apart;   /* a flow's replies come in by another queue than its requests */
	uint32_t opening; /* TCP: connection after connection, each from SYN to FIN */
	uint32_t active;  /* of the flows, once all are open; 0: all of them */
	uint32_t gaps;    /* the device looks for polls that come late */
	uint32_t unchecked; /* nothing is said of checksums, as by virtio */
	uint32_t unused[3];
};

/* Written by the thread that polls a queue, two lines per queue. `sequence` is odd meanwhile. */
struct report {
	volatile uint64_t sequence;
	uint64_t tsc;
	uint64_t cpu_ns;
	uint64_t rx;
	uint64_t tx;
	uint64_t checked;
	uint64_t wrong;
	uint64_t empty; /* polls for which no buffer was left */
	uint64_t phase; /* of the queue, see queue.h */
	uint64_t late;  /* polls that came later than LATE_NS after the last, no switch of threads between */
	uint64_t unused[6];
};

#define LATE_NS 50000u

#endif
