package main

import (
	"context"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// open lists what a node allows in maintenance mode, where nobody has shown a certificate.
var open = []string{
	"/machine.MachineService/ApplyConfiguration",
	"/machine.MachineService/Version",
	"/cosi.resource.State/Get",
	"/cosi.resource.State/List",
}

// allow refuses what Talos refuses: the wrong role, and what is meant for another node.
func (n *Node) allow(ctx context.Context, method string) error {
	if !n.secure() {
		if !slices.Contains(open, method) {
			return status.Error(codes.PermissionDenied, "not authorized")
		}

		return nil
	}

	if !slices.Contains(organisations(ctx), string(role.Admin)) {
		return status.Error(codes.PermissionDenied, "not authorized")
	}

	values := metadata.ValueFromIncomingContext(ctx, "nodes")
	values = append(values, metadata.ValueFromIncomingContext(ctx, "node")...)

	for _, value := range values {
		if value != n.settings.Address {
			return status.Errorf(codes.Unavailable, "%s does not forward to %s", n.settings.Address, value)
		}
	}

	return nil
}

func (n *Node) secure() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	return n.phase == running
}

func organisations(ctx context.Context) []string {
	caller, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}

	info, ok := caller.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil
	}

	return info.State.PeerCertificates[0].Subject.Organization
}

func (n *Node) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	err := n.allow(ctx, info.FullMethod)

	var response any
	if err == nil {
		response, err = handle(ctx, request)
	}

	n.note(info.FullMethod, err)

	return response, err
}

func (n *Node) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	err := n.allow(stream.Context(), info.FullMethod)
	if err == nil {
		err = handle(server, stream)
	}

	n.note(info.FullMethod, err)

	return err
}

func (n *Node) note(method string, err error) {
	record := Record{
		Node: n.settings.Address, Method: method, Secure: n.secure(), Code: status.Code(err).String(),
	}
	if err != nil {
		record.Detail = status.Convert(err).Message()
	}

	n.cluster.journal.Write(record)
}
