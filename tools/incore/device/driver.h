/*
 * The part of DPDK 22.11's driver interface that this device uses. The header files that hold it are not
 * installed by Debian's libdpdk-dev, so what is needed is declared here: the leading fields of three
 * structures, places in the table of operations, and five functions. DPDK keeps them stable within one
 * ABI version; the build refuses any other.
 */
#ifndef INCORE_DRIVER_H
#define INCORE_DRIVER_H

#include <rte_common.h>
#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <rte_os.h>
#include <rte_version.h>

#if RTE_VER_YEAR != 22 || RTE_VER_MONTH != 11
#error "the driver interface declared here is that of DPDK 22.11"
#endif

/* A device as its bus knows it: the links of a list, then what the list is of. */
struct device {
	void *list[2];
	const char *name;
	const char *bus_info;
	const void *driver;
	const void *bus;
	int numa_node;
	struct rte_devargs *devargs;
};

struct virtual_device {
	void *list[2];
	struct device device;
};

struct virtual_driver {
	void *list[2];
	struct {
		void *list[2];
		const char *name;
		const char *alias;
	} driver;
	int (*probe)(struct virtual_device *device);
	int (*remove)(struct virtual_device *device);
	void *dma_map;
	void *dma_unmap;
	uint32_t flags;
};

/* A port, as far as its driver fills it in. */
struct port_data {
	char name[RTE_ETH_NAME_MAX_LEN];
	void **rx_queues;
	void **tx_queues;
	uint16_t rx_queue_count;
	uint16_t tx_queue_count;
	uint8_t sriov[8];
	void *private_data;
	struct rte_eth_link link;
	struct rte_eth_conf conf;
	uint16_t mtu;
	uint32_t min_rx_buf_size;
	uint64_t rx_alloc_failed;
	struct rte_ether_addr *mac_addrs;
};

typedef uint16_t (*burst)(void *queue, struct rte_mbuf **packets, uint16_t count);

struct port {
	burst rx;
	burst tx;
	void *prepare_count_and_status[4];
	struct port_data *data;
	void *process_private;
	const void *const *operations;
	struct device *device;
};

/* Where an operation stands in the table. */
enum operation {
	DEV_CONFIGURE = 0,
	DEV_START = 1,
	DEV_STOP = 2,
	DEV_CLOSE = 5,
	LINK_UPDATE = 7,
	PROMISCUOUS_ENABLE = 9,
	PROMISCUOUS_DISABLE = 10,
	ALLMULTICAST_ENABLE = 11,
	ALLMULTICAST_DISABLE = 12,
	MAC_ADDR_SET = 15,
	MTU_SET = 17,
	STATS_GET = 18,
	STATS_RESET = 19,
	DEV_INFOS_GET = 24,
	RX_QUEUE_SETUP = 41,
	TX_QUEUE_SETUP = 45,
	OPERATIONS = 128,
};

void rte_vdev_register(struct virtual_driver *driver);
struct port *rte_eth_dev_allocate(const char *name);
struct port *rte_eth_dev_allocated(const char *name);
void rte_eth_dev_probing_finish(struct port *port);
int rte_eth_dev_release_port(struct port *port);

#endif
