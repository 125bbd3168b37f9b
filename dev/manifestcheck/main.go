// Command manifestcheck reads Kubernetes manifests from standard input and tells every field that
// Kubernetes's own types do not have, or have with another type. It knows no cluster and no custom
// resources: those it names on standard output, for others to check.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func check(input io.Reader) error {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(input))

	var faults []error

	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(faults...)
		}

		if err != nil {
			return err
		}

		_, kind, err := decoder.Decode(document, nil, nil)

		switch {
		case runtime.IsNotRegisteredError(err):
			fmt.Println("unknown:", err)
		case err != nil:
			faults = append(faults, fmt.Errorf("%v: %w", kind, err))
		}
	}
}

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
