package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	cosiv1alpha1 "github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	cosi "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/cosi-project/runtime/pkg/state/registry"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const port = "50000"

// Cluster is what the nodes have in common.
type Cluster struct {
	settings Settings
	journal  *Journal
	nodes    []*Node

	mutex sync.Mutex
	// bootstrapped is when etcd was started, zero before.
	bootstrapped time.Time
}

// osAuthority finds the authority of the machines' API: only control planes hold its key, and
// workers get their certificates from them.
func (c *Cluster) osAuthority() *authority {
	for _, node := range c.nodes {
		if provider := node.configuration(); provider != nil && provider.Machine().Type().IsControlPlane() {
			pair := provider.Machine().Security().IssuingCA()

			found, err := parseAuthority(pair.Crt, pair.Key)
			if err == nil {
				return found
			}
		}
	}

	return nil
}

// phase says what a node does with those who call it.
type phase int

const (
	maintenance phase = iota // waits for a configuration
	installing               // has one, will reboot, answers as before
	running                  // is a machine of the cluster
)

// Node is one machine's API.
type Node struct {
	machineapi.UnimplementedMachineServiceServer
	clusterapi.UnimplementedClusterServiceServer

	cluster  *Cluster
	settings NodeSettings
	disks    state.State

	mutex    sync.Mutex
	phase    phase
	provider config.Provider
	bytes    []byte
	booted   time.Time
	leave    chan struct{} // closed to end the present phase
}

func newNode(cluster *Cluster, settings NodeSettings) (*Node, error) {
	disks, err := diskState(settings.Disks)
	if err != nil {
		return nil, err
	}

	return &Node{cluster: cluster, settings: settings, disks: disks}, nil
}

func diskState(disks []DiskSettings) (state.State, error) {
	ctx := context.Background()
	found := state.WrapCore(namespaced.NewState(inmem.Build))

	if err := registry.NewNamespaceRegistry(found).RegisterDefault(ctx); err != nil {
		return nil, err
	}

	resources := registry.NewResourceRegistry(found)
	if err := resources.RegisterDefault(ctx); err != nil {
		return nil, err
	}

	if err := resources.Register(ctx, &block.Disk{}); err != nil {
		return nil, err
	}

	for _, settings := range disks {
		disk := block.NewDisk(block.NamespaceName, settings.ID)
		spec := disk.TypedSpec()
		spec.DevPath = "/dev/" + settings.ID
		spec.SetSize(settings.Size)
		spec.Transport, spec.Rotational = settings.Transport, settings.Rotational
		spec.Readonly, spec.CDROM = settings.ReadOnly, settings.CDROM
		spec.Model, spec.Serial = settings.Model, settings.Serial

		if err := found.Create(ctx, disk); err != nil {
			return nil, err
		}
	}

	return found, nil
}

func (n *Node) configuration() config.Provider {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	return n.provider
}

// live serves one phase after the other; it returns only when the address cannot be served.
func (n *Node) live() error {
	if n.settings.Foreign {
		stranger, err := newAuthority("stranger")
		if err != nil {
			return err
		}

		n.begin(running)

		return n.serve(stranger)
	}

	for {
		own, err := newAuthority("maintenance")
		if err != nil {
			return err
		}

		n.begin(maintenance)

		if err := n.serve(own); err != nil {
			return err
		}

		if n.settings.Lost {
			select {}
		}

		time.Sleep(n.settings.Boots.Duration())

		shared := n.cluster.osAuthority()
		for ; shared == nil; shared = n.cluster.osAuthority() {
			time.Sleep(20 * time.Millisecond) // a worker waits for a control plane
		}

		n.begin(running)

		if err := n.serve(shared); err != nil {
			return err
		}

		time.Sleep(n.settings.Boots.Duration())
	}
}

func (n *Node) begin(next phase) {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	n.phase, n.booted, n.leave = next, time.Now(), make(chan struct{})
	if next == maintenance {
		n.provider, n.bytes = nil, nil
	}
}

// end lets the present phase end after a while.
func (n *Node) end(after time.Duration) {
	leave := n.leave

	time.AfterFunc(after, func() { close(leave) })
}

// serve answers until the phase ends.
func (n *Node) serve(owner *authority) error {
	tlsConfig, err := owner.serverTLS(n.settings.Address, n.phase == maintenance)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", net.JoinHostPort(n.settings.Address, port))
	if err != nil {
		return fmt.Errorf("node %s: %w", n.settings.Address, err)
	}

	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(tlsConfig)),
		grpc.UnaryInterceptor(n.unary),
		grpc.StreamInterceptor(n.stream),
	)
	machineapi.RegisterMachineServiceServer(server, n)
	clusterapi.RegisterClusterServiceServer(server, n)
	cosiv1alpha1.RegisterStateServer(server, cosi.NewState(n.disks))

	go func() {
		<-n.leave
		server.Stop()
	}()

	if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}

	return nil
}
