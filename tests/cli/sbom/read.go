// Reads the documents of an image with other people's parsers (spdx/tools-golang and
// in-toto/attestation, from the lock), and prints what they found as JSON:
//
//	read spdx FILE
//	read intoto FILE
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/utils"
	"google.golang.org/protobuf/encoding/protojson"
)

type pkg struct {
	Name, Version, Declared, Supplier, Sha256, Purl string
	Files                                           []string
}

type spdxOut struct {
	Namespace, Created string
	Describes          []string
	Packages           map[string]*pkg
	Files              map[string]map[string]string // path: {sha256, sha1, owner}
	Relations          [][3]string
	Licences           map[string]string
}

func readSpdx(text []byte) (any, error) {
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	// every element that a relationship names is there
	if err := spdxlib.ValidateDocument(doc); err != nil {
		return nil, err
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil {
		return nil, err
	}
	out := spdxOut{Namespace: doc.DocumentNamespace, Created: doc.CreationInfo.Created,
		Packages: map[string]*pkg{}, Files: map[string]map[string]string{}, Licences: map[string]string{}}
	for _, d := range described {
		out.Describes = append(out.Describes, string(d))
	}
	for _, l := range doc.OtherLicenses {
		out.Licences[l.LicenseIdentifier] = l.ExtractedText
	}
	files := map[string]*spdx.File{}
	for _, f := range doc.Files {
		sums := map[string]string{}
		for _, c := range f.Checksums {
			sums[string(c.Algorithm)] = c.Value
		}
		if out.Files[f.FileName] != nil || files[string(f.FileSPDXIdentifier)] != nil {
			return nil, fmt.Errorf("%s is there twice", f.FileName)
		}
		out.Files[f.FileName] = sums
		files[string(f.FileSPDXIdentifier)] = f
	}
	for _, p := range doc.Packages {
		x := &pkg{Name: p.PackageName, Version: p.PackageVersion, Declared: p.PackageLicenseDeclared}
		if p.PackageSupplier != nil {
			x.Supplier = p.PackageSupplier.SupplierType + ": " + p.PackageSupplier.Supplier
		}
		for _, c := range p.PackageChecksums {
			if c.Algorithm == spdx.SHA256 {
				x.Sha256 = c.Value
			}
		}
		for _, r := range p.PackageExternalReferences {
			if r.RefType == "purl" {
				x.Purl = r.Locator
			}
		}
		id := string(p.PackageSPDXIdentifier)
		if out.Packages[id] != nil {
			return nil, fmt.Errorf("%s is there twice", id)
		}
		out.Packages[id] = x
	}
	of := map[string][]*spdx.File{}
	for _, r := range doc.Relationships {
		a, b := string(r.RefA.ElementRefID), string(r.RefB.ElementRefID)
		out.Relations = append(out.Relations, [3]string{a, r.Relationship, b})
		if f := files[b]; f != nil && r.Relationship == "CONTAINS" {
			of[a] = append(of[a], f)
			out.Packages[a].Files = append(out.Packages[a].Files, f.FileName)
			out.Files[f.FileName]["owner"] += out.Packages[a].Name + ";"
		}
	}
	for _, p := range doc.Packages {
		id := string(p.PackageSPDXIdentifier)
		if p.FilesAnalyzed != (len(of[id]) > 0) {
			return nil, fmt.Errorf("%s: filesAnalyzed is %v, and it has %d files", id, p.FilesAnalyzed, len(of[id]))
		}
		if !p.FilesAnalyzed {
			continue
		}
		code, err := utils.GetVerificationCode(of[id], "")
		if err != nil {
			return nil, err
		}
		if p.PackageVerificationCode == nil || code.Value != p.PackageVerificationCode.Value {
			return nil, fmt.Errorf("%s: its verification code is not that of its files", id)
		}
	}
	return out, nil
}

type intotoOut struct {
	Subject, Name, PredicateType, BuildType, Builder, Commit, Source string
	Dependencies                                            map[string]string // name: sha256
	Roles                                                   map[string]string
	Byproducts                                              map[string]string
	External                                                map[string]any
}

func readIntoto(text []byte) (any, error) {
	var s intoto.Statement
	var p provenance.Provenance

	if err := protojson.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	inner, err := protojson.Marshal(s.Predicate)
	if err != nil {
		return nil, err
	}
	// unknown fields are errors
	if err := protojson.Unmarshal(inner, &p); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(s.Subject) != 1 {
		return nil, fmt.Errorf("%d subjects", len(s.Subject))
	}
	out := intotoOut{Subject: s.Subject[0].Digest["sha256"], Name: s.Subject[0].Name, PredicateType: s.PredicateType,
		BuildType: p.BuildDefinition.BuildType, Builder: p.RunDetails.Builder.Id,
		Dependencies: map[string]string{}, Roles: map[string]string{}, Byproducts: map[string]string{},
		External: p.BuildDefinition.ExternalParameters.AsMap()}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if c := d.Digest["gitCommit"]; c != "" {
			out.Commit, out.Source = c, d.Uri
			continue
		}
		out.Dependencies[d.Name] = d.Digest["sha256"]
		if d.Annotations != nil {
			out.Roles[d.Name], _ = d.Annotations.AsMap()["role"].(string)
		}
	}
	for _, b := range p.RunDetails.Byproducts {
		out.Byproducts[b.Name] = b.Digest["sha256"]
	}
	return out, nil
}

func main() {
	readers := map[string]func([]byte) (any, error){"spdx": readSpdx, "intoto": readIntoto}
	if len(os.Args) != 3 || readers[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: read spdx|intoto FILE")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[2])
	if err == nil {
		var out any
		out, err = readers[os.Args[1]](text)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
