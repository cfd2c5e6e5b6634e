package etcdstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/embedetcd"
	"github.com/grapnel-dev/grapnel/store"
)

// authority signs certificates for a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.file = a.write(t, "ca.pem", "CERTIFICATE", a.sign(t, a.cert, a.key))
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) sign(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a name, of a server at the loopback address or
// of a client.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	der := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, name+".pem", "CERTIFICATE", der), a.write(t, name+"-key.pem", "EC PRIVATE KEY", private)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.issue(t, "etcd.example")
	clientCert, clientKey := ours.issue(t, "client")
	s := serve(t, embedetcd.Config{CertFile: serverCert, KeyFile: serverKey, TrustedCAFile: ours.file})

	cfg := Config{Endpoints: s.Endpoints(), CAFile: ours.file, CertFile: clientCert, KeyFile: clientKey, DialTimeout: 2 * time.Second}
	for name, change := range map[string]func(*Config){
		"":                        func(*Config) {},
		"without a scheme":        func(c *Config) { c.Endpoints = []string{c.Endpoints[0][len("https://"):]} },
		"with the server's name":  func(c *Config) { c.ServerName = "etcd.example" },
		"not another name":        func(c *Config) { c.ServerName = "other.example" },
		"not of another CA":       func(c *Config) { c.CAFile = theirs.file },
		"not without certificate": func(c *Config) { c.CertFile, c.KeyFile = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := cfg
			change(&mine)
			st, err := Open(t.Context(), mine)
			if len(name) > 3 && name[:3] == "not" {
				if !errors.Is(err, grapnel.ErrUnavailable) {
					t.Errorf("open: %v, want unavailable", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if _, err := st.Commit(t.Context(), store.Txn{Then: []store.Op{store.Put("/k", nil, 0)}}); err != nil {
				t.Error(err)
			}
		})
	}
}
