/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include <pbxpush/apns/signing_key.h>

#define KEY_FILE_MAX 16384 /* Apple's are 257 bytes */
#define COORDINATE   32    /* bytes of R and of S on P-256 */
#define SIGNATURE    (2 * COORDINATE)

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

/* The whole file, bounded. The caller clears and frees data. */
static enum err file_read(const char *path, char *data, size_t size, size_t *len)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return ERR_IO;
	errno = 0;
	*len = fread(data, 1, size, file);
	enum err err = ferror(file) ? ERR_IO : *len == size ? ERR_LIMIT : ERR_OK;
	fclose(file);
	return err;
}

/* A PEM label other than PRIVATE KEY is worth a word of its own: it is the usual mistake. */
static const char *key_parse(const char *data, size_t len, EVP_PKEY **out)
{
	const char *fault = NULL;
	char group[32];
	EVP_PKEY *key = NULL;
	BIO *bio = BIO_new_mem_buf(data, (int)len);

	if (memmem(data, len, "-----BEGIN EC PRIVATE KEY", 25))
		fault = "is not PKCS#8 (BEGIN PRIVATE KEY) but SEC1; convert it with openssl pkcs8 "
			"-topk8";
	else if (memmem(data, len, "-----BEGIN ENCRYPTED", 20))
		fault = "is encrypted; APNs keys come without a passphrase";
	else if (!memmem(data, len, "-----BEGIN PRIVATE KEY-----", 27))
		fault = "is not a .p8 key: no PEM block PRIVATE KEY";
	else if (!(key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL))
		fault = "holds a PEM block that is no private key";
	else if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
		 !EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) ||
		 strcmp(group, SN_X9_62_prime256v1) != 0)
		fault = "is not an EC key on P-256";
	if (fault)
		EVP_PKEY_free(key);
	else
		*out = key;
	BIO_free(bio);
	ERR_clear_error();
	return fault;
}

enum err signing_key_load(const char *path, EVP_PKEY **out, char *why, size_t why_size)
{
	char data[KEY_FILE_MAX];
	size_t len = 0;
	enum err err = file_read(path, data, sizeof(data), &len);

	if (err == ERR_IO) {
		snprintf(why, why_size, "key file %s: %s", path, strerror(errno));
	} else if (err) {
		snprintf(why, why_size, "key file %s is too large for a .p8 key", path);
		err = ERR_CRYPTO;
	} else {
		const char *fault = key_parse(data, len, out);
		if (fault) {
			snprintf(why, why_size, "key file %s %s", path, fault);
			err = ERR_CRYPTO;
		}
	}
	OPENSSL_cleanse(data, sizeof(data));
	return err;
}

enum err signing_key_fingerprint(EVP_PKEY *key, char out[17])
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	int len = i2d_PUBKEY(key, &der);
	enum err err = ERR_CRYPTO;

	if (len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1) {
		for (size_t i = 0; i < 8; i++)
			snprintf(out + 2 * i, 3, "%02x", digest[i]);
		err = ERR_OK;
	}
	OPENSSL_free(der);
	ERR_clear_error();
	return err;
}

static bool raw_from_der(const unsigned char *der, size_t len, unsigned char raw[SIGNATURE])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE) == COORDINATE &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE) == COORDINATE;

	ECDSA_SIG_free(sig);
	return ok;
}

enum err signing_key_sign(EVP_PKEY *key, struct buf *text)
{
	enum err err = ERR_CRYPTO;
	unsigned char der[80], raw[SIGNATURE];
	size_t len = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (text->failed || !ctx) {
		err = ERR_NOMEM;
		goto out;
	}
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
		EVP_DigestSign(ctx, der, &len, (const unsigned char *)text->data, text->len) != 1 ||
		!raw_from_der(der, len, raw))
		goto out;
	buf_add_char(text, '.');
	base64url_add(text, raw, sizeof(raw));
	err = text->failed ? ERR_NOMEM : ERR_OK;
out:
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return err;
}

static int der_from_raw(const unsigned char raw[SIGNATURE], unsigned char **der)
{
	int len = -1;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, COORDINATE, NULL);
	BIGNUM *s = BN_bin2bn(raw + COORDINATE, COORDINATE, NULL);

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* sig owns them now */
		len = i2d_ECDSA_SIG(sig, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len;
}

bool signing_key_verify(EVP_PKEY *key, const char *text)
{
	const char *dot = strrchr(text, '.');
	unsigned char raw[SIGNATURE], *der = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = false;

	if (dot && ctx && base64url_decode(dot + 1, strlen(dot + 1), raw, SIGNATURE) == SIGNATURE) {
		int len = der_from_raw(raw, &der);
		ok = len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		     EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)text,
			     (size_t)(dot - text)) == 1;
	}
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_add(struct buf *out, const void *data, size_t len)
{
	const unsigned char *in = data;
	unsigned bits = 0, count = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (count += 8; count >= 6; count -= 6)
			buf_add_char(out, ALPHABET[bits >> (count - 6) & 63]);
	}
	if (count)
		buf_add_char(out, ALPHABET[bits << (6 - count) & 63]);
}

int base64url_decode(const char *text, size_t len, unsigned char *out, size_t size)
{
	unsigned bits = 0, count = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] ? strchr(ALPHABET, text[i]) : NULL;
		if (!at)
			return -1;
		bits = bits << 6 | (unsigned)(at - ALPHABET);
		count += 6;
		if (count >= 8) {
			if (n == size || n == INT_MAX)
				return -1;
			count -= 8;
			out[n++] = (unsigned char)(bits >> count);
		}
	}
	return (int)n;
}
