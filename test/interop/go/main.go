// Checks what VerityDB signs and proves with implementations that are not its own: golang.org/x/mod/sumdb
// (signed notes, Merkle proofs) and filippo.io/torchwood (checkpoints, cosignatures, log proofs); and makes
// the same things for VerityDB to check. Reads one JSON document, writes one.
package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type proofCase struct {
	Commitment []byte `json:"commitment"`
	Proof      string `json:"proof"`
}

type growth struct {
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	FromRoot []byte   `json:"fromRoot"`
	ToRoot   []byte   `json:"toRoot"`
	Proof    [][]byte `json:"proof"`
}

type request struct {
	Origin  string      `json:"origin"`
	Log     string      `json:"log"`
	Witness string      `json:"witness"`
	Notes   []string    `json:"notes"`
	Proofs  []proofCase `json:"proofs"`
	Growths []growth    `json:"growths"`
}

type made struct {
	Log     string      `json:"log"`
	Witness string      `json:"witness"`
	Note    string      `json:"note"`
	Leaves  [][]byte    `json:"leaves"`
	Proofs  []proofCase `json:"proofs"`
	Growths []growth    `json:"growths"`
}

type answer struct {
	Notes   []string `json:"notes"`
	Proofs  []string `json:"proofs"`
	Growths []string `json:"growths"`
	Made    made     `json:"made"`
}

func main() {
	var asked request
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	log := must1(note.NewVerifier(asked.Log))
	witness := must1(torchwood.NewCosignatureVerifier(asked.Witness))
	policy := torchwood.ThresholdPolicy(3,
		torchwood.OriginPolicy(asked.Origin),
		torchwood.SingleVerifierPolicy(log),
		torchwood.SingleVerifierPolicy(witness),
	)
	var given answer
	for _, text := range asked.Notes {
		given.Notes = append(given.Notes, verdict(checkNote(text, log, policy)))
	}
	for _, c := range asked.Proofs {
		given.Proofs = append(given.Proofs, verdict(torchwood.VerifyProof(policy, tlog.RecordHash(c.Commitment), []byte(c.Proof))))
	}
	for _, g := range asked.Growths {
		given.Growths = append(given.Growths, verdict(checkGrowth(g)))
	}
	given.Made = makeOwn()
	must(json.NewEncoder(os.Stdout).Encode(given))
}

// checkNote opens a note as the Go checksum database's clients do, and then with its cosignature.
func checkNote(text string, log note.Verifier, policy torchwood.Policy) error {
	if _, err := note.Open([]byte(text), note.VerifierList(log)); err != nil {
		return err
	}
	_, _, err := torchwood.VerifyCheckpoint([]byte(text), policy)
	return err
}

func checkGrowth(g growth) error {
	var proof tlog.TreeProof
	for _, hash := range g.Proof {
		proof = append(proof, tlog.Hash(hash))
	}
	return tlog.CheckTree(proof, g.To, tlog.Hash(g.ToRoot), g.From, tlog.Hash(g.FromRoot))
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, h[index])
	}
	return found, nil
}

const size = 1000

// makeOwn makes a log of its own: leaves, a checkpoint with a cosignature, proofs of some of its leaves and sizes.
func makeOwn() made {
	var own made
	var stored hashes
	for n := int64(0); n < size; n++ {
		leaf := []byte(fmt.Sprintf("leaf %d", n))
		own.Leaves = append(own.Leaves, leaf)
		stored = append(stored, must1(tlog.StoredHashes(n, leaf, stored))...)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	name := "go.example/log"
	own.Log = must1(note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey)))
	witnessKey := ed25519.NewKeyFromSeed([]byte("a witness's seed of 32 bytes ...")[:32])
	witness := must1(torchwood.NewCosignatureSigner("go.example/witness", witnessKey))
	own.Witness = witness.Verifier().String()
	root := must1(tlog.TreeHash(size, stored))
	body := torchwood.Checkpoint{Origin: name, Tree: tlog.Tree{N: size, Hash: root}}.String()
	signed := must1(note.Sign(&note.Note{Text: body}, signer{name, must1(note.NewVerifier(own.Log)), key}, witness))
	own.Note = string(signed)
	for _, n := range []int64{0, 1, 255, 256, 511, 998, 999} {
		proof := must1(tlog.ProveRecord(size, n, stored))
		text := torchwood.FormatProof(n, proof, signed)
		own.Proofs = append(own.Proofs, proofCase{own.Leaves[n], string(text)})
	}
	for _, from := range []int64{1, 2, 3, 255, 256, 257, 512, 999, 1000} {
		proof := must1(tlog.ProveTree(size, from, stored))
		g := growth{From: from, To: size, ToRoot: root[:]}
		old := must1(tlog.TreeHash(from, stored))
		g.FromRoot = old[:]
		for _, hash := range proof {
			g.Proof = append(g.Proof, hash[:])
		}
		own.Growths = append(own.Growths, g)
	}
	return own
}

// signer signs notes with a plain Ed25519 key; the package makes signers of text keys only.
type signer struct {
	name     string
	verifier note.Verifier
	key      ed25519.PrivateKey
}

func (s signer) Name() string                    { return s.name }
func (s signer) KeyHash() uint32                 { return s.verifier.KeyHash() }
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}
