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
	uint32_t unused[9];
};

/* Written by the thread that polls a queue, one line per queue. `sequence` is odd meanwhile. */
struct report {
	volatile uint64_t sequence;
	uint64_t tsc;
	uint64_t cpu_ns;
	uint64_t rx;
	uint64_t tx;
	uint64_t checked;
	uint64_t wrong;
	uint64_t empty; /* polls for which no buffer was left */
};

#endif
