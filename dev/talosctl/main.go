// Command talosctl is Talos's own client, built from its published module for the tests.
package main

import (
	"os"

	_ "github.com/siderolabs/talos/cmd/talosctl/acompat" // as in Talos's own main
	"github.com/siderolabs/talos/cmd/talosctl/cmd"
)

func main() {
	if err := cmd.Execute(); err != nil {
		os.Exit(1)
	}
}
