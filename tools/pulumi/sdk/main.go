// Writes the SDK of a package: `go run ./sdk LANGUAGE SCHEMA FOLDER`.
//
// In a Pulumi release, `pulumi package gen-sdk` asks the host of the language, which calls the same
// function. The Go module of the CLI has the functions, but not the hosts.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const tool = "bytez-provider"

type noLoader struct{ schema.ReferenceLoader }

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: sdk go|nodejs|python SCHEMA FOLDER"))
	}
	files, err := generate(os.Args[1], os.Args[2])
	if err != nil {
		fail(err)
	}
	for name, text := range files {
		path := filepath.Join(os.Args[3], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			fail(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			fail(err)
		}
	}
}

func generate(language, file string) (map[string][]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, err
	}
	// The loader is never called: the package refers to no other one.
	pkg, problems, err := schema.BindSpec(spec, noLoader{}, schema.ValidationOptions{})
	if err != nil {
		return nil, err
	}
	if problems.HasErrors() {
		return nil, problems
	}
	switch language {
	case "go":
		return golang.GeneratePackage(tool, pkg, nil)
	case "nodejs":
		return nodejs.GeneratePackage(tool, pkg, nil, nil, true, noLoader{})
	case "python":
		return python.GeneratePackage(tool, pkg, nil, noLoader{})
	}
	return nil, fmt.Errorf("no generator for '%s'", language)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
