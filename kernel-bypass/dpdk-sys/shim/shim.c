/* Callable copies of DPDK's inline functions, and what is easier said in C. */
#define _GNU_SOURCE
#define ALLOW_EXPERIMENTAL_API
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **into, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, into, count);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **from, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, from, count);
}

int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **into, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, into, count);
}

struct rte_mbuf *shim_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void shim_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

int shim_errno(void)
{
	return rte_errno;
}

const char *shim_version(void)
{
	return rte_version();
}

uint64_t shim_tsc(void)
{
	return rte_rdtsc();
}

int shim_link(uint16_t port, uint32_t *mbps, int *up)
{
	struct rte_eth_link link;
	int result;

	memset(&link, 0, sizeof(link));
	result = rte_eth_link_get_nowait(port, &link);
	if (result != 0)
		return result;
	*mbps = link.link_speed;
	*up = link.link_status == RTE_ETH_LINK_UP;
	return 0;
}

static shim_log_sink log_sink;

/* rte_vlog flushes after every message, so one call here is one message (or a piece of a very long one). */
static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	if (log_sink != NULL)
		log_sink(rte_log_cur_msg_loglevel(), text, length);
	return (ssize_t)length;
}

int shim_log_to(shim_log_sink sink)
{
	cookie_io_functions_t functions = { .write = log_write };
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return -errno;
	log_sink = sink;
	return rte_openlog_stream(stream);
}

static shim_removal_sink removal_sink;

static void device_event(const char *device, enum rte_dev_event_type event, void *nothing)
{
	uint16_t port;

	(void)nothing;
	if (event == RTE_DEV_EVENT_REMOVE && device != NULL && rte_eth_dev_get_port_by_name(device, &port) == 0)
		removal_sink(port);
}

int shim_watch_removals(shim_removal_sink sink)
{
	int result;

	removal_sink = sink;
	result = rte_dev_event_callback_register(NULL, device_event, NULL);
	if (result == 0)
		result = rte_dev_hotplug_handle_enable();
	if (result == 0)
		result = rte_dev_event_monitor_start();
	return result;
}

void shim_port_conf(struct rte_eth_conf *conf, uint32_t mtu, uint64_t rx_offloads, uint64_t tx_offloads,
		    uint32_t mq_mode, uint8_t *key, uint8_t key_length, uint64_t rss_flows)
{
	memset(conf, 0, sizeof(*conf));
	conf->rxmode.mtu = mtu;
	conf->rxmode.offloads = rx_offloads;
	conf->rxmode.mq_mode = (enum rte_eth_rx_mq_mode)mq_mode;
	conf->txmode.mq_mode = RTE_ETH_MQ_TX_NONE;
	conf->txmode.offloads = tx_offloads;
	if (mq_mode == SHIM_MQ_RX_RSS) {
		conf->rx_adv_conf.rss_conf.rss_key = key;
		conf->rx_adv_conf.rss_conf.rss_key_len = key_length;
		conf->rx_adv_conf.rss_conf.rss_hf = rss_flows;
	}
}
