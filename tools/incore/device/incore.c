/*
 * A network device inside the core: it delivers copies of a trace's frames in buffers of the application's
 * own pool, and takes what is sent back into it. Copying and delivery are a ring apart, so that the
 * application finds a frame where a NIC's DMA would have left it: near, but not in the first cache.
 */
#define _GNU_SOURCE
#include "driver.h"
#include "incore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_thash.h>

#define QUEUES 16
#define RING 512u         /* frames between copy and delivery */
#define MOST_AT_ONCE 64u
#define REPORT_POLLS 1024u /* polls between two looks at the clock */
#define CHECK_BURSTS 256u  /* transmitted bursts of which one frame is looked at */
#define AHEAD 48u /* frames asked of the memory before they are copied */
/* Eight bytes of a buffer that drivers write at once: data offset, references, segments, port. */
#define REARM offsetof(struct rte_mbuf, data_off)

struct queue {
	/* receive */
	struct rte_mempool *pool;
	const uint8_t *frames;
	uint32_t *hashes;
	uint32_t flows, next, stride, length, packet_type, tcp_offset;
	uint64_t flags, rearm;
	uint32_t head, polls;
	uint64_t rx, empty, tsc;
	struct rte_mbuf *ring[RING];
	struct report *report;
	/* transmit */
	uint64_t tx __rte_cache_aligned;
	uint64_t bursts, checked, wrong;
} __rte_cache_aligned;

struct incore {
	struct rte_ether_addr mac;
	struct queue queues[QUEUES];
	struct report *reports;
	const struct trace_header *trace;
	size_t trace_bytes;
	uint16_t started;
};

/*
 * After a pass over the trace its SYNs become ACKs: from then on the connections are open. Not before each
 * was sent on: until the application has its configuration it may drop them.
 */
static __rte_noinline void open_connections(struct queue *q)
{
	uint8_t *frames = (uint8_t *)(uintptr_t)q->frames;
	uint32_t i, at = q->tcp_offset;

	for (i = 0; i < q->flows; i++) {
		uint8_t *tcp = frames + (size_t)i * q->stride + at;
		/* One's complement arithmetic (RFC 1624): the flags are the low byte of a word. */
		uint32_t sum = (uint16_t)~(tcp[16] << 8 | tcp[17]);

		sum += 0xffffu - RTE_TCP_SYN_FLAG + RTE_TCP_ACK_FLAG;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16));
		tcp[13] = RTE_TCP_ACK_FLAG;
		tcp[16] = (uint8_t)(sum >> 8);
		tcp[17] = (uint8_t)sum;
	}
	q->tcp_offset = 0;
}

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

		q->ring[(q->head + i) % RING] = m;
		if (unlikely(m == NULL))
			continue;
		/* May point behind the end, which harms nobody. */
		rte_prefetch0(q->frames + (size_t)(q->next + AHEAD) * q->stride);
		memcpy((uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM, q->frames + (size_t)q->next * q->stride, 64);
		if (q->stride > 64)
			memcpy((uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM + 64,
			       q->frames + (size_t)q->next * q->stride + 64, 64);
		memcpy((uint8_t *)m + REARM, &q->rearm, sizeof(q->rearm));
		m->ol_flags = q->flags;
		m->packet_type = q->packet_type;
		m->pkt_len = q->length;
		m->data_len = q->length;
		m->vlan_tci = 0;
		m->hash.rss = q->hashes[q->next];
		if (unlikely(++q->next == q->flows)) {
			q->next = 0;
			if (unlikely(q->tcp_offset != 0 && q->tx >= 2 * (uint64_t)q->flows))
				open_connections(q);
		}
	}
	q->head = (q->head + count) % RING;
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
	r->sequence++;
	rte_smp_wmb();
	r->tsc = tsc;
	r->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	r->rx = q->rx;
	r->tx = q->tx;
	r->checked = q->checked;
	r->wrong = q->wrong;
	r->empty = q->empty;
	rte_smp_wmb();
	r->sequence++;
}

static uint16_t receive(void *queue, struct rte_mbuf **packets, uint16_t count)
{
	struct queue *q = queue;
	uint32_t wanted = RTE_MIN((uint32_t)count, MOST_AT_ONCE), got = 0, i;

	for (i = 0; i < wanted; i++) {
		struct rte_mbuf *m = q->ring[(q->head + i) % RING];

		if (likely(m != NULL))
			packets[got++] = m;
	}
	fill(q, wanted);
	q->rx += got;
	if (unlikely(++q->polls % REPORT_POLLS == 0))
		report(q);
	return (uint16_t)got;
}

/* Whether what was sent is a whole IP packet with right sums, in a buffer as the application got it. */
static __rte_noinline int is_right(const struct queue *q, const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct rte_ipv4_hdr *v4 = (const void *)(frame + 14);
	const struct rte_ipv6_hdr *v6 = (const void *)(frame + 14);
	const void *l4;

	if (m->pool != q->pool || m->nb_segs != 1 || rte_mbuf_refcnt_read(m) != 1 || m->data_len < 60)
		return 0;
	if (frame[12] == 0x86 && frame[13] == 0xdd) {
		l4 = v6 + 1;
		if (v6->proto != IPPROTO_UDP && v6->proto != IPPROTO_TCP)
			return 1;
		return rte_ipv6_udptcp_cksum_verify(v6, l4) == 0;
	}
	if (frame[12] != 0x08 || frame[13] != 0 || v4->version_ihl != 0x45)
		return 0;
	if (rte_raw_cksum(v4, sizeof(*v4)) != 0xffff)
		return 0;
	l4 = v4 + 1;
	if (v4->next_proto_id != IPPROTO_UDP && v4->next_proto_id != IPPROTO_TCP)
		return 1;
	return rte_ipv4_udptcp_cksum_verify(v4, l4) == 0;
}

static uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t count)
{
	struct queue *q = queue;

	if (unlikely(count == 0))
		return 0;
	if (unlikely(++q->bursts % CHECK_BURSTS == 0)) {
		q->checked++;
		q->wrong += !is_right(q, packets[q->bursts / CHECK_BURSTS % count]);
	}
	rte_mempool_put_bulk(q->pool, (void **)packets, count);
	q->tx += count;
	return count;
}

/* The hash that a NIC with a symmetric key computes, in host order. */
static uint32_t hash_of(const uint8_t *frame, int ipv6)
{
	static uint8_t key[40] = { 0 };
	union rte_thash_tuple tuple;
	uint32_t length = ipv6 ? RTE_THASH_V6_L4_LEN : RTE_THASH_V4_L4_LEN;
	unsigned int i;

	for (i = 0; i < sizeof(key); i += 2) {
		key[i] = 0x6d;
		key[i + 1] = 0x5a;
	}
	if (ipv6) {
		rte_thash_load_v6_addrs((const void *)(frame + 14), &tuple);
		tuple.v6.sport = (uint16_t)(frame[54] << 8 | frame[55]);
		tuple.v6.dport = (uint16_t)(frame[56] << 8 | frame[57]);
	} else {
		const struct rte_ipv4_hdr *v4 = (const void *)(frame + 14);

		tuple.v4.src_addr = rte_be_to_cpu_32(v4->src_addr);
		tuple.v4.dst_addr = rte_be_to_cpu_32(v4->dst_addr);
		tuple.v4.sport = (uint16_t)(frame[34] << 8 | frame[35]);
		tuple.v4.dport = (uint16_t)(frame[36] << 8 | frame[37]);
	}
	return rte_softrss((uint32_t *)&tuple, length, key);
}

/* Gives each queue its flows, in huge pages. */
static int deal(struct incore *d, uint16_t queues)
{
	const struct trace_header *t = d->trace;
	const uint8_t *frames = (const uint8_t *)(t + 1);
	uint32_t *hashes = rte_malloc(NULL, sizeof(uint32_t) * (size_t)t->flows, 64);
	uint16_t n;
	uint32_t i;

	if (hashes == NULL)
		return -ENOMEM;
	for (i = 0; i < t->flows; i++)
		hashes[i] = hash_of(frames + (size_t)i * t->stride, t->ipv6 != 0);
	for (n = 0; n < queues; n++) {
		struct queue *q = &d->queues[n];
		uint32_t count = 0;
		uint8_t *own;

		for (i = 0; i < t->flows; i++)
			count += hashes[i] % queues == n;
		if (count == 0)
			return -EINVAL;
		own = rte_malloc(NULL, (size_t)count * t->stride, 64);
		q->hashes = rte_malloc(NULL, sizeof(uint32_t) * (size_t)count, 64);
		if (own == NULL || q->hashes == NULL)
			return -ENOMEM;
		q->frames = own;
		for (i = 0; i < t->flows; i++) {
			if (hashes[i] % queues != n)
				continue;
			memcpy(own + (size_t)q->flows * t->stride, frames + (size_t)i * t->stride, t->stride);
			q->hashes[q->flows++] = hashes[i];
		}
	}
	rte_free(hashes);
	return 0;
}

static int start(struct port *port)
{
	struct incore *d = port->data->private_data;
	const struct trace_header *t = d->trace;
	uint16_t n, id = 0;
	int result = d->started ? 0 : deal(d, port->data->rx_queue_count);

	if (result != 0)
		return result;
	rte_eth_dev_get_port_by_name(port->data->name, &id);
	for (n = 0; n < port->data->rx_queue_count && !d->started; n++) {
		struct queue *q = &d->queues[n];
		struct rte_mbuf model;
		uint32_t i;

		memset(&model, 0, sizeof(model));
		model.data_off = RTE_PKTMBUF_HEADROOM;
		model.nb_segs = 1;
		model.port = id;
		rte_mbuf_refcnt_set(&model, 1);
		memcpy(&q->rearm, (uint8_t *)&model + REARM, sizeof(q->rearm));
		q->stride = t->stride;
		q->length = t->length;
		q->tcp_offset = !t->tcp ? 0 : t->ipv6 ? 54 : 34;
		q->packet_type = RTE_PTYPE_L2_ETHER | (t->ipv6 ? RTE_PTYPE_L3_IPV6 : RTE_PTYPE_L3_IPV4) |
				 (t->tcp ? RTE_PTYPE_L4_TCP : RTE_PTYPE_L4_UDP);
		q->flags = RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_L4_CKSUM_GOOD |
			   (t->ipv6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD);
		q->report = d->reports == NULL ? NULL : &d->reports[n];
		for (i = 0; i < RING; i += MOST_AT_ONCE)
			fill(q, MOST_AT_ONCE);
	}
	d->started = 1;
	port->data->link.link_status = RTE_ETH_LINK_UP;
	return 0;
}

static int stop(struct port *port)
{
	port->data->link.link_status = RTE_ETH_LINK_DOWN;
	return 0;
}

static int done(struct port *port __rte_unused)
{
	return 0;
}

static int close_port(struct port *port)
{
	struct incore *d = port->data->private_data;
	uint16_t n;
	uint32_t i;

	for (n = 0; n < QUEUES; n++)
		for (i = 0; i < RING; i++)
			rte_pktmbuf_free(d->queues[n].ring[i]);
	munmap((void *)(uintptr_t)d->trace, d->trace_bytes);
	if (d->reports != NULL)
		munmap(d->reports, sizeof(struct report) * QUEUES);
	/* Part of the private data, which DPDK frees. */
	port->data->mac_addrs = NULL;
	return 0;
}

static int set_mtu(struct port *port __rte_unused, uint16_t mtu __rte_unused)
{
	return 0;
}

static int set_mac(struct port *port __rte_unused, struct rte_ether_addr *mac __rte_unused)
{
	return 0;
}

static int update_link(struct port *port __rte_unused, int wait __rte_unused)
{
	return 0;
}

static int describe(struct port *port __rte_unused, struct rte_eth_dev_info *info)
{
	info->max_mac_addrs = 1;
	info->max_rx_pktlen = 9728;
	info->max_rx_queues = QUEUES;
	info->max_tx_queues = QUEUES;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_RSS_HASH;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
	info->hash_key_size = 40;
	return 0;
}

static int set_rx_queue_up(struct port *port, uint16_t number, uint16_t descriptors __rte_unused,
			   unsigned int socket __rte_unused, const struct rte_eth_rxconf *conf __rte_unused,
			   struct rte_mempool *pool)
{
	struct incore *d = port->data->private_data;

	d->queues[number].pool = pool;
	port->data->rx_queues[number] = &d->queues[number];
	return 0;
}

static int set_tx_queue_up(struct port *port, uint16_t number, uint16_t descriptors __rte_unused,
			   unsigned int socket __rte_unused, const struct rte_eth_txconf *conf __rte_unused)
{
	struct incore *d = port->data->private_data;

	port->data->tx_queues[number] = &d->queues[number];
	return 0;
}

static int count(struct port *port, struct rte_eth_stats *stats)
{
	struct incore *d = port->data->private_data;
	uint16_t n;

	for (n = 0; n < QUEUES; n++) {
		stats->ipackets += d->queues[n].rx;
		stats->opackets += d->queues[n].tx;
		stats->rx_nombuf += d->queues[n].empty;
		stats->oerrors += d->queues[n].wrong;
	}
	stats->ibytes = stats->ipackets * d->trace->length;
	return 0;
}

static const void *const operations[OPERATIONS] = {
	[DEV_CONFIGURE] = done,
	[DEV_START] = start,
	[DEV_STOP] = stop,
	[DEV_CLOSE] = close_port,
	[LINK_UPDATE] = update_link,
	[PROMISCUOUS_ENABLE] = done,
	[PROMISCUOUS_DISABLE] = done,
	[ALLMULTICAST_ENABLE] = done,
	[ALLMULTICAST_DISABLE] = done,
	[MAC_ADDR_SET] = set_mac,
	[MTU_SET] = set_mtu,
	[STATS_GET] = count,
	[STATS_RESET] = done,
	[DEV_INFOS_GET] = describe,
	[RX_QUEUE_SETUP] = set_rx_queue_up,
	[TX_QUEUE_SETUP] = set_tx_queue_up,
};

static int open_trace(const char *key __rte_unused, const char *path, void *context)
{
	struct incore *d = context;
	const struct trace_header *t;
	struct stat found;
	int file = open(path, O_RDONLY);

	if (file < 0 || fstat(file, &found) != 0 || (size_t)found.st_size < sizeof(*t))
		return -ENOENT;
	t = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (t == MAP_FAILED)
		return -ENOMEM;
	d->trace = t;
	d->trace_bytes = (size_t)found.st_size;
	if (t->magic != TRACE_MAGIC || t->flows == 0 || (t->stride != 64 && t->stride != 128) ||
	    t->length < 60 || t->length > t->stride ||
	    sizeof(*t) + (uint64_t)t->flows * t->stride != d->trace_bytes)
		return -EINVAL;
	return 0;
}

static int open_report(const char *key __rte_unused, const char *path, void *context)
{
	struct incore *d = context;
	size_t bytes = sizeof(struct report) * QUEUES;
	int file = open(path, O_RDWR | O_CREAT, 0600);
	void *at;

	if (file < 0 || ftruncate(file, (off_t)bytes) != 0)
		return -ENOENT;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (at == MAP_FAILED)
		return -ENOMEM;
	d->reports = at;
	return 0;
}

static int probe(struct virtual_device *device)
{
	static const char *const keys[] = { "trace", "report", NULL };
	struct rte_kvargs *arguments = rte_kvargs_parse(device->device.devargs->args, keys);
	struct incore *d = rte_zmalloc(NULL, sizeof(*d), 64);
	struct port *port;
	int result = -ENOMEM;

	if (arguments == NULL || d == NULL)
		goto failed;
	result = rte_kvargs_count(arguments, "trace") == 1 ? 0 : -EINVAL;
	if (result == 0)
		result = rte_kvargs_process(arguments, "trace", open_trace, d);
	if (result == 0)
		result = rte_kvargs_process(arguments, "report", open_report, d);
	port = result == 0 ? rte_eth_dev_allocate(device->device.name) : NULL;
	if (port == NULL)
		goto failed;
	d->mac = (struct rte_ether_addr){ { 0x02, 0x69, 0x6e, 0x63, 0x6f, 0x00 } };
	port->device = &device->device;
	port->data->private_data = d;
	port->data->mac_addrs = &d->mac;
	port->data->link.link_speed = RTE_ETH_SPEED_NUM_100G;
	port->data->link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	port->operations = operations;
	port->rx = receive;
	port->tx = transmit;
	rte_eth_dev_probing_finish(port);
	rte_kvargs_free(arguments);
	return 0;
failed:
	rte_kvargs_free(arguments);
	rte_free(d);
	return result < 0 ? result : -EINVAL;
}

static int remove_device(struct virtual_device *device)
{
	struct port *port = rte_eth_dev_allocated(device->device.name);

	if (port == NULL)
		return 0;
	close_port(port);
	return rte_eth_dev_release_port(port);
}

static struct virtual_driver driver = { .probe = probe, .remove = remove_device };

RTE_INIT(incore)
{
	driver.driver.name = "net_incore";
	rte_vdev_register(&driver);
}
