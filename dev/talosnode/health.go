package main

import (
	"context"
	"fmt"
	"time"

	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"google.golang.org/grpc/status"
)

// checks are Talos's own, in Talos's order (pkg/cluster/check/default.go of 1.13).
var checks = []string{
	"etcd to be healthy",
	"etcd members to be consistent across nodes",
	"etcd members to be control plane nodes",
	"apid to be ready",
	"all nodes memory sizes",
	"all nodes disk sizes",
	"no diagnostics",
	"kubelet to be healthy",
	"all nodes to finish boot sequence",
	"all k8s nodes to report",
	"all control plane static pods to be running",
	"all control plane components to be ready",
	"all k8s nodes to report ready",
	"kube-proxy to report ready",
	"coredns to report ready",
	"all k8s nodes to report schedulable",
}

func (c *Cluster) sinceBootstrap() time.Duration {
	c.mutex.Lock()
	defer c.mutex.Unlock()

	if c.bootstrapped.IsZero() {
		return 0
	}

	return time.Since(c.bootstrapped)
}

// passed counts the checks that hold by now.
func (c *Cluster) passed() int {
	since := c.sinceBootstrap()
	if since == 0 {
		return 0
	}

	count := len(checks)
	if pause := c.settings.Check.Duration(); pause > 0 {
		count = min(count, int(since/pause))
	}

	for index, check := range checks {
		if check == c.settings.Stuck {
			return min(count, index)
		}
	}

	return count
}

// HealthCheck tells of each check that it waits for, until all hold or the time is over.
func (n *Node) HealthCheck(
	in *clusterapi.HealthCheckRequest, stream clusterapi.ClusterService_HealthCheckServer,
) error {
	if err := n.controlPlaneOnly("cluster health check"); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(stream.Context(), in.GetWaitTimeout().AsDuration())
	defer cancel()

	say := func(format string, values ...any) error {
		message := fmt.Sprintf(format, values...)

		return stream.Send(&clusterapi.HealthCheckProgress{Metadata: n.metadata(), Message: message})
	}

	info := in.GetClusterInfo()
	if err := say("discovered nodes: %q", append(info.GetControlPlaneNodes(), info.GetWorkerNodes()...)); err != nil {
		return err
	}

	for index, check := range checks {
		if err := n.wait(ctx, index, check, say); err != nil {
			return err
		}
	}

	return nil
}

func (n *Node) wait(
	ctx context.Context, index int, check string, say func(string, ...any) error,
) error {
	if err := say("waiting for %s: ...", check); err != nil {
		return err
	}

	for told := false; n.cluster.passed() <= index; {
		if !told {
			told = true

			if err := say("waiting for %s: %s", check, n.complaint(check)); err != nil {
				return err
			}
		}

		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-time.After(20 * time.Millisecond):
		}
	}

	return say("waiting for %s: OK", check)
}

func (n *Node) complaint(check string) string {
	if check == checks[0] {
		return fmt.Sprintf("1 error occurred:\n\t* %s: service \"etcd\" not in expected state \"Running\":"+
			" current state [Preparing] Running pre state\n\n", n.settings.Address)
	}

	return "some nodes are not there yet"
}

// moved tells whether a change needs a reboot, for which one such change stands.
func moved(before, after config.Provider) bool {
	if before == nil {
		return false
	}

	first, _ := before.Machine().Install().DiskMatchExpression()
	second, _ := after.Machine().Install().DiskMatchExpression()

	if first == nil || second == nil {
		return first != second
	}

	return first.String() != second.String()
}
