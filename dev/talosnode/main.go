// Command talosnode speaks Talos's machine API for nodes that have no operating system, so that the
// real talosctl can be driven where no Talos node boots. It holds what a bootstrap meets: maintenance
// mode, a reboot after the configuration was applied, certificates of the cluster's own authority,
// bootstrap too early, too late and twice, and a health that grows. It proves nothing about Talos.
//
// It reads its settings as JSON from standard input, listens on loopback addresses alone, and writes
// a line of JSON to standard output for each request.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Seconds is a span of time as settings give it.
type Seconds float64

// Duration converts to what Go sleeps by.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// DiskSettings is a disk as `talosctl get disks` shows it.
type DiskSettings struct {
	ID         string `json:"id"`
	Size       uint64 `json:"size"`
	Transport  string `json:"transport"`
	Rotational bool   `json:"rotational"`
	ReadOnly   bool   `json:"readonly"`
	CDROM      bool   `json:"cdrom"`
	Model      string `json:"model"`
	Serial     string `json:"serial"`
}

// NodeSettings says how one node behaves.
type NodeSettings struct {
	Address string         `json:"address"`
	Disks   []DiskSettings `json:"disks"`
	// Lingers is how long the maintenance service still answers after a configuration was taken.
	Lingers Seconds `json:"lingers"`
	// Boots is how long nothing answers while the node reboots.
	Boots Seconds `json:"boots"`
	// Lost means that the node never comes back from its reboot.
	Lost bool `json:"lost"`
	// Foreign means that the node belongs to another cluster from the start.
	Foreign bool `json:"foreign"`
	// Prepares is how long after its boot `bootstrap` is not available yet.
	Prepares Seconds `json:"prepares"`
	// Clock is how long after its boot the time is not in sync; below zero: for ever.
	Clock Seconds `json:"clock"`
}

// Settings describes the nodes, and how fast their cluster becomes healthy.
type Settings struct {
	Nodes []NodeSettings `json:"nodes"`
	// Check is how long each health check fails after the one before has passed.
	Check Seconds `json:"check"`
	// Starts is how long after the bootstrap etcd does not answer yet.
	Starts Seconds `json:"starts"`
	// Stuck names a health check that never passes.
	Stuck string `json:"stuck"`
}

// Record is the line that is written for a request.
type Record struct {
	Node   string `json:"node"`
	Method string `json:"method"`
	Secure bool   `json:"secure"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Journal writes records, one at a time.
type Journal struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

// Write writes one record.
func (j *Journal) Write(record Record) {
	j.mutex.Lock()
	defer j.mutex.Unlock()

	if err := j.encoder.Encode(record); err != nil {
		os.Exit(1) // whoever reads is gone
	}
}

func run() error {
	var settings Settings

	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&settings); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}

	cluster := &Cluster{settings: settings, journal: &Journal{encoder: json.NewEncoder(os.Stdout)}}
	failed := make(chan error)

	for _, found := range settings.Nodes {
		address, err := netip.ParseAddr(found.Address)
		if err != nil || !address.IsLoopback() {
			return fmt.Errorf("node address %q: only loopback addresses are served", found.Address)
		}

		node, err := newNode(cluster, found)
		if err != nil {
			return err
		}

		cluster.nodes = append(cluster.nodes, node)
	}

	for _, node := range cluster.nodes {
		go func() { failed <- node.live() }()
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	select {
	case err := <-failed:
		return errors.Join(errors.New("a node ended"), err)
	case <-stop:
		return nil
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "talosnode:", err)
		os.Exit(1)
	}
}
