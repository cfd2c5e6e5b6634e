package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// credentialsName is what the names of folders with credentials begin with.
const credentialsName = "tls-"

// credentials are files with what both ends of a private connection show each
// other: an authority's certificate, and one certificate with its key for both.
type credentials struct{ dir, ca, cert, key string }

// newCredentials makes credentials, in a folder below dir that only this user can
// read. Nobody keeps the authority's key.
func newCredentials(dir string) (credentials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return credentials{}, fmt.Errorf("make credentials: %w", err)
	}
	own, err := os.MkdirTemp(dir, credentialsName) // another process may have the folder
	if err != nil {
		return credentials{}, fmt.Errorf("make credentials: %w", err)
	}
	c := credentials{own, filepath.Join(own, "ca.pem"), filepath.Join(own, "cert.pem"), filepath.Join(own, "key.pem")}
	if err := c.write(); err != nil {
		return credentials{}, errors.Join(fmt.Errorf("make credentials: %w", err), os.RemoveAll(own))
	}
	return c, nil
}

// removeCredentials removes those that killed processes left below dir, which is
// this process's, but for the folder keep.
func removeCredentials(dir, keep string) error {
	left, err := filepath.Glob(filepath.Join(dir, credentialsName+"*"))
	for _, name := range left {
		if name != keep {
			err = errors.Join(err, os.RemoveAll(name))
		}
	}
	return err
}

func (c *credentials) write() error {
	// Times are wide, because a cluster may be up for long and clocks differ.
	begin, end := time.Now().Add(-24*time.Hour), time.Now().AddDate(100, 0, 0)
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "grapnel local"}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "grapnel"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(c.ca, "CERTIFICATE", caDER),
		writePEM(c.cert, "CERTIFICATE", leafDER),
		writePEM(c.key, "EC PRIVATE KEY", keyDER),
	)
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
