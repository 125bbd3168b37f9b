package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/version"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// metal is the mode that a virtual machine booted from the installer has.
type metal struct{}

func (metal) String() string        { return "metal" }
func (metal) RequiresInstall() bool { return true }
func (metal) InContainer() bool     { return false }

func (n *Node) metadata() *common.Metadata {
	return &common.Metadata{Hostname: n.settings.Address}
}

// Version answers in every mode.
func (n *Node) Version(context.Context, *emptypb.Empty) (*machineapi.VersionResponse, error) {
	platform := &machineapi.PlatformInfo{Name: "metal", Mode: "metal"}
	message := &machineapi.Version{Metadata: n.metadata(), Version: version.NewVersion(), Platform: platform}

	return &machineapi.VersionResponse{Messages: []*machineapi.Version{message}}, nil
}

// ApplyConfiguration takes a configuration; in maintenance mode the node then installs and reboots.
func (n *Node) ApplyConfiguration(
	_ context.Context, in *machineapi.ApplyConfigurationRequest,
) (*machineapi.ApplyConfigurationResponse, error) {
	provider, err := configloader.NewFromBytes(in.GetData())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	warnings, err := provider.Validate(metal{})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	n.mutex.Lock()
	defer n.mutex.Unlock()

	if n.phase == installing {
		return nil, status.Error(codes.FailedPrecondition, "configuration was already applied and node"+
			" is rebooting, cannot apply more configuration changes until next reboot")
	}

	details := "Applied configuration without a reboot"

	switch {
	case n.phase == running && !bytes.Equal(n.bytes, in.GetData()) && moved(n.provider, provider):
		if in.GetMode() == machineapi.ApplyConfigurationRequest_NO_REBOOT {
			return nil, status.Error(codes.InvalidArgument,
				"this config change can't be applied in immediate mode\ndiff: install disk")
		}
	case n.phase == maintenance:
		n.phase = installing
		n.end(n.settings.Lingers.Duration())
	}

	n.provider, n.bytes = provider, in.GetData()
	message := &machineapi.ApplyConfiguration{
		Metadata: n.metadata(), Warnings: warnings, Mode: in.GetMode(), ModeDetails: details,
	}

	return &machineapi.ApplyConfigurationResponse{
		Messages: []*machineapi.ApplyConfiguration{message},
	}, nil
}

// Bootstrap starts etcd once.
func (n *Node) Bootstrap(
	context.Context, *machineapi.BootstrapRequest,
) (*machineapi.BootstrapResponse, error) {
	up := time.Since(n.booted)

	if up < n.settings.Prepares.Duration() {
		return nil, status.Error(codes.FailedPrecondition, "bootstrap is not available yet")
	}

	if err := n.controlPlaneOnly("bootstrap"); err != nil {
		return nil, err
	}

	if n.settings.Clock < 0 || up < n.settings.Clock.Duration() {
		return nil, status.Error(codes.FailedPrecondition, "time is not in sync yet")
	}

	n.cluster.mutex.Lock()
	defer n.cluster.mutex.Unlock()

	if !n.cluster.bootstrapped.IsZero() {
		return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}

	n.cluster.bootstrapped = time.Now()
	message := &machineapi.Bootstrap{Metadata: n.metadata()}

	return &machineapi.BootstrapResponse{Messages: []*machineapi.Bootstrap{message}}, nil
}

func (n *Node) controlPlaneOnly(api string) error {
	if !n.configuration().Machine().Type().IsControlPlane() {
		return status.Errorf(codes.Unimplemented, "%s is only available on control plane nodes", api)
	}

	return nil
}

// EtcdMemberList answers when etcd runs.
func (n *Node) EtcdMemberList(
	context.Context, *machineapi.EtcdMemberListRequest,
) (*machineapi.EtcdMemberListResponse, error) {
	if err := n.controlPlaneOnly("member list"); err != nil {
		return nil, err
	}

	since := n.cluster.sinceBootstrap()
	if since == 0 || since < n.cluster.settings.Starts.Duration() {
		return nil, status.Error(codes.Unknown, "error getting etcd client: context deadline exceeded")
	}

	members := &machineapi.EtcdMembers{Metadata: n.metadata()}

	for index, node := range n.cluster.nodes {
		if provider := node.configuration(); provider != nil && provider.Machine().Type().IsControlPlane() {
			members.Members = append(members.Members, &machineapi.EtcdMember{
				Id: uint64(index + 1), Hostname: node.settings.Address,
			})
		}
	}

	return &machineapi.EtcdMemberListResponse{Messages: []*machineapi.EtcdMembers{members}}, nil
}

// Kubeconfig sends a kubeconfig, in the archive that Talos wraps it in.
func (n *Node) Kubeconfig(_ *emptypb.Empty, stream machineapi.MachineService_KubeconfigServer) error {
	if err := n.controlPlaneOnly("kubeconfig"); err != nil {
		return err
	}

	content, err := n.kubeconfig()
	if err != nil {
		return err
	}

	var archive bytes.Buffer

	zip := gzip.NewWriter(&archive)
	tarball := tar.NewWriter(zip)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: "kubeconfig", Size: int64(len(content)), Mode: 0o600}

	if err := tarball.WriteHeader(header); err != nil {
		return err
	}

	if _, err := tarball.Write(content); err != nil {
		return err
	}

	if err := tarball.Close(); err != nil {
		return err
	}

	if err := zip.Close(); err != nil {
		return err
	}

	return stream.Send(&common.Data{Bytes: archive.Bytes()})
}

func (n *Node) kubeconfig() ([]byte, error) {
	cluster := n.configuration().Cluster()

	issuer, err := parseAuthority(cluster.IssuingCA().Crt, cluster.IssuingCA().Key)
	if err != nil {
		return nil, err
	}

	client, err := issuer.issue("admin", "system:masters")
	if err != nil {
		return nil, err
	}

	private, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		return nil, err
	}

	encode := func(kind string, content []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	user := fmt.Sprintf("admin@%s", cluster.Name())

	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster: {server: %[2]q, certificate-authority-data: %[3]s}
users:
- name: %[4]s
  user: {client-certificate-data: %[5]s, client-key-data: %[6]s}
contexts:
- name: %[4]s
  context: {cluster: %[1]s, namespace: default, user: %[4]s}
current-context: %[4]s
`, cluster.Name(), cluster.Endpoint().String(),
		base64.StdEncoding.EncodeToString(cluster.IssuingCA().Crt), user,
		encode("CERTIFICATE", client.Certificate[0]), encode("PRIVATE KEY", private)), nil
}

// Reset sends the node back to maintenance mode.
func (n *Node) Reset(
	_ context.Context, in *machineapi.ResetRequest,
) (*machineapi.ResetResponse, error) {
	n.cluster.mutex.Lock()
	n.cluster.bootstrapped = time.Time{}
	n.cluster.mutex.Unlock()

	n.mutex.Lock()
	defer n.mutex.Unlock()

	n.end(n.settings.Lingers.Duration())
	n.cluster.journal.Write(Record{
		Node: n.settings.Address, Method: "wiping", Secure: true, Code: in.GetMode().String(),
		Detail: fmt.Sprintf("%v", in.GetUserDisksToWipe()),
	})

	message := &machineapi.Reset{Metadata: n.metadata()}

	return &machineapi.ResetResponse{Messages: []*machineapi.Reset{message}}, nil
}
