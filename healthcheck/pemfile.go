package healthcheck

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// pemLimit bounds the size of a file of certificates or keys, in bytes.
const pemLimit = 16 << 20

// pemFile is a file that is read when it has changed.
type pemFile struct {
	path    string
	changed time.Time
	size    int64
}

// read returns the file's text if it is not that of the last call.
func (f *pemFile) read() (text []byte, news bool, err error) {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", errCannot, err)
	case info.ModTime().Equal(f.changed) && info.Size() == f.size:
		return nil, false, nil
	case !info.Mode().IsRegular() || info.Size() > pemLimit:
		return nil, false, fmt.Errorf("%w: %s is not a file of at most %d bytes", errCannot, f.path, pemLimit)
	}
	text, err = os.ReadFile(f.path)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errCannot, err)
	}
	f.changed, f.size = info.ModTime(), info.Size()
	return text, true, nil
}

// forget has the next read return the text again.
func (f *pemFile) forget() { f.changed, f.size = time.Time{}, -1 }

// caFile is a file of trusted authorities.
type caFile struct {
	mu   sync.Mutex
	file pemFile        // guarded by mu
	last *x509.CertPool // guarded by mu
}

// pool returns the authorities; nil stands for the system's.
func (f *caFile) pool() (*x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file.path == "" {
		return nil, nil
	}
	text, news, err := f.file.read()
	if err != nil {
		return nil, fmt.Errorf("reading the authorities: %w", err)
	}
	if news {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			f.file.forget()
			return nil, fmt.Errorf("%w: %s has no certificate in PEM form", errCannot, f.file.path)
		}
		f.last = pool
	}
	return f.last, nil
}

// ownCertificate is what a check shows of itself.
type ownCertificate struct {
	mu               sync.Mutex
	certificate, key pemFile // guarded by mu, as what follows
	texts            [2][]byte
	last             *tls.Certificate
}

func (o *ownCertificate) pair() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	changed := false
	for i, f := range []*pemFile{&o.certificate, &o.key} {
		text, news, err := f.read()
		if err != nil {
			return nil, fmt.Errorf("reading the check's own certificate: %w", err)
		}
		if news {
			o.texts[i], changed = text, true
		}
	}
	if changed || o.last == nil {
		pair, err := tls.X509KeyPair(o.texts[0], o.texts[1])
		if err != nil {
			o.last = nil
			return nil, fmt.Errorf("%w: certificate %s with key %s: %w", errCannot, o.certificate.path, o.key.path, err)
		}
		o.last = &pair
	}
	return o.last, nil
}
