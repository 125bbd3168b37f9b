package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// authority is what a node's certificate is signed by.
type authority struct {
	certificate *x509.Certificate
	key         any
}

func newAuthority(name string) (*authority, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}

	template := certificateTemplate(pkix.Name{Organization: []string{name}})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign

	encoded, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, err
	}

	certificate, err := x509.ParseCertificate(encoded)

	return &authority{certificate, private}, err
}

// parseAuthority reads a machine configuration's authority: a certificate and its key, both PEM.
func parseAuthority(certificate, key []byte) (*authority, error) {
	certificateBlock, _ := pem.Decode(certificate)
	keyBlock, _ := pem.Decode(key)

	if certificateBlock == nil || keyBlock == nil {
		return nil, errors.New("the configuration holds no authority")
	}

	parsed, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, err
	}

	if private, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes); err == nil {
		return &authority{parsed, private}, nil
	}

	private, err := x509.ParseECPrivateKey(keyBlock.Bytes)

	return &authority{parsed, private}, err
}

// issue makes a certificate for a server, or for a client that belongs to the organisation.
func (a *authority) issue(name, organisation string, addresses ...net.IP) (*tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}

	subject := pkix.Name{CommonName: name}
	if organisation != "" {
		subject.Organization = []string{organisation}
	}

	template := certificateTemplate(subject)
	template.IPAddresses = addresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

	encoded, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		return nil, err
	}

	return &tls.Certificate{Certificate: [][]byte{encoded}, PrivateKey: private}, nil
}

func certificateTemplate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // without randomness nothing here makes sense
	}

	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// serverTLS asks clients for a certificate of the same authority, unless in maintenance mode.
func (a *authority) serverTLS(address string, maintenance bool) (*tls.Config, error) {
	certificate, err := a.issue(address, "", net.ParseIP(address))
	if err != nil {
		return nil, err
	}

	config := &tls.Config{
		Certificates: []tls.Certificate{*certificate},
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
	}

	if !maintenance {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AddCert(a.certificate)
	}

	return config, nil
}
