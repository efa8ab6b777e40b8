/*
 * A network device inside the core: it delivers copies of a trace's frames in buffers of the application's
 * own pool, and takes what is sent back into it. Copying and delivery are a ring apart, so that the
 * application finds a frame where a NIC's DMA would have left it: near, but not in the first cache.
 */
#define _GNU_SOURCE
#include "driver.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_ip.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#define CHECK_BURSTS 256u  /* transmitted bursts of which one frame is looked at */

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
	if (unlikely(q->learning))
		learn(q, packets, count);
	rte_mempool_put_bulk(q->pool, (void **)packets, count);
	q->tx += count;
	return count;
}

static int start(struct port *port)
{
	struct incore *d = port->data->private_data;
	const struct trace_header *t = d->trace;
	uint16_t n, id = 0;

	if (!d->started && t->replies) {
		d->replies = malloc((size_t)t->flows * t->stride);
		if (d->replies == NULL)
			return -ENOMEM;
	}
	if (!d->started)
		d->queue_count = port->data->rx_queue_count;
	rte_eth_dev_get_port_by_name(port->data->name, &id);
	for (n = 0; n < port->data->rx_queue_count && !d->started; n++) {
		struct queue *q = &d->queues[n];
		struct rte_mbuf model;
		int result;

		memset(&model, 0, sizeof(model));
		model.data_off = RTE_PKTMBUF_HEADROOM;
		model.nb_segs = 1;
		model.port = id;
		rte_mbuf_refcnt_set(&model, 1);
		memcpy(&q->rearm, (uint8_t *)&model + REARM, sizeof(q->rearm));
		q->device = d;
		q->number = n;
		q->ipv6 = t->ipv6 != 0;
		q->late_after = t->gaps ? rte_get_tsc_hz() / 1000000 * LATE_NS / 1000 : 0;
		q->stride = t->stride;
		q->length = t->length;
		q->packet_type = RTE_PTYPE_L2_ETHER | (t->ipv6 ? RTE_PTYPE_L3_IPV6 : RTE_PTYPE_L3_IPV4) |
				 (t->tcp ? RTE_PTYPE_L4_TCP : RTE_PTYPE_L4_UDP);
		q->flags = RTE_MBUF_F_RX_RSS_HASH;
		if (!t->unchecked)
			q->flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD |
				    (t->ipv6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD);
		q->report = d->reports == NULL ? NULL : &d->reports[n];
		result = deal(q);
		if (result != 0)
			return result;
		prime(q);
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
	free(d->replies);
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
