/* What the bindings are generated from: DPDK's headers, the shim, and numbers that only a C compiler knows. */
#ifndef SHIM_H
#define SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Where the fields of a buffer lie. Offsets, not a bound struct: the anonymous unions and markers of
 * struct rte_mbuf change from release to release, the meaning of these names does not. */
enum mbuf_layout {
	MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	MBUF_PORT = offsetof(struct rte_mbuf, port),
	MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	MBUF_HASH_RSS = offsetof(struct rte_mbuf, hash.rss),
	MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	MBUF_HEADROOM = RTE_PKTMBUF_HEADROOM,
	MBUF_SIZE = sizeof(struct rte_mbuf),
};

/* Macros whose expansion bindgen cannot evaluate, as plain constants. */
static const uint64_t SHIM_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t SHIM_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t SHIM_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SHIM_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SHIM_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SHIM_RX_L4_CKSUM_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t SHIM_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t SHIM_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t SHIM_RX_L4_CKSUM_NONE = RTE_MBUF_F_RX_L4_CKSUM_NONE;
static const uint64_t SHIM_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t SHIM_RSS_FLOWS = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
static const uint32_t SHIM_MQ_RX_NONE = RTE_ETH_MQ_RX_NONE;
static const uint32_t SHIM_MQ_RX_RSS = RTE_ETH_MQ_RX_RSS;
static const uint32_t SHIM_SOCKET_ANY = (uint32_t)SOCKET_ID_ANY;

/* Inline functions of DPDK, made callable. The first three are called once per burst. */
uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **into, uint16_t count);
uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **from, uint16_t count);
int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **into, unsigned int count);
struct rte_mbuf *shim_alloc(struct rte_mempool *pool);
void shim_free(struct rte_mbuf *mbuf);

/* The calling thread's rte_errno. */
int shim_errno(void);
/* Name and version of the library in use. */
const char *shim_version(void);
/* Time-stamp counter. */
uint64_t shim_tsc(void);
/* Link of a port without waiting: speed in Mbit/s and whether it is up. 0, or a negative errno. */
int shim_link(uint16_t port, uint32_t *mbps, int *up);

/* Sends every message of DPDK's log to `sink`: its level (1 emergency ... 8 debug), text, length. 0, or a negative errno. */
typedef void (*shim_log_sink)(int level, const char *text, size_t length);
int shim_log_to(shim_log_sink sink);

/* Calls `sink` with the number of each port whose device is taken out of the machine, or that the kernel asks back
 * for that; from DPDK's own threads. Who touches the registers of one that is gone finds memory there. 0, or a
 * negative errno. */
typedef void (*shim_removal_sink)(uint16_t port);
int shim_watch_removals(shim_removal_sink sink);

/* A port's configuration: one layer 3 size, offloads, and RSS with the given key (or the driver's, where it is NULL)
 * if mq_mode asks for it. */
void shim_port_conf(struct rte_eth_conf *conf, uint32_t mtu, uint64_t rx_offloads, uint64_t tx_offloads,
		    uint32_t mq_mode, uint8_t *key, uint8_t key_length, uint64_t rss_flows);

#endif
