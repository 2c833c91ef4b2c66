/* mail seals and opens S/MIME messages with OpenSSL's library, for timing beside package smime:
 *
 *   mail DIR ENTITY SEALED   reads "seal N" and "open N" and answers with the thread's CPU nanoseconds for N of them
 *
 * DIR holds alice.pem and alice-key.pem, who signs, bob.pem and bob-key.pem, who gets, middle.pem and anchor.pem, the authorities. The
 * chain is looked at each time: the library remembers none. */

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static EVP_PKEY *alice_key, *bob_key;
static X509 *alice, *bob, *middle, *anchor;
static X509_STORE *store;
static STACK_OF(X509) *chain, *to;
static char *entity, *sealed;
static int entity_length, sealed_length;

static void *must(void *p)
{
	if (p != NULL)
		return p;
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void hold(int ok)
{
	must(ok == 1 ? &ok : NULL);
}

static BIO *file(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return must(BIO_new_file(path, "rb"));
}

static char *contents(const char *path, int *length)
{
	FILE *f = must(fopen(path, "rb"));
	char *text;

	fseek(f, 0, SEEK_END);
	*length = ftell(f);
	rewind(f);
	text = must(malloc(*length));
	hold(fread(text, *length, 1, f));
	fclose(f);
	return text;
}

static X509 *certificate(const char *dir, const char *name)
{
	BIO *in = file(dir, name);
	X509 *cert = must(PEM_read_bio_X509(in, NULL, NULL, NULL));

	BIO_free(in);
	return cert;
}

static EVP_PKEY *key(const char *dir, const char *name)
{
	BIO *in = file(dir, name);
	EVP_PKEY *k = must(PEM_read_bio_PrivateKey(in, NULL, NULL, NULL));

	BIO_free(in);
	return k;
}

static void seal(void)
{
	const int flags = CMS_DETACHED | CMS_STREAM | CMS_BINARY;
	BIO *in = must(BIO_new_mem_buf(entity, entity_length));
	BIO *inside = must(BIO_new(BIO_s_mem())), *out = must(BIO_new(BIO_s_mem()));
	CMS_ContentInfo *cms = must(CMS_sign(NULL, NULL, chain, NULL, flags | CMS_PARTIAL));

	must(CMS_add1_signer(cms, alice, alice_key, EVP_sha256(), 0));
	hold(SMIME_write_CMS(inside, cms, in, flags | SMIME_CRLFEOL));
	CMS_ContentInfo_free(cms);
	cms = must(CMS_encrypt(to, inside, EVP_aes_128_cbc(), CMS_STREAM | CMS_BINARY));
	hold(SMIME_write_CMS(out, cms, inside, CMS_STREAM | CMS_BINARY | SMIME_CRLFEOL));
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	BIO_free(inside);
	BIO_free(out);
}

static void opened(void)
{
	BIO *in = must(BIO_new_mem_buf(sealed, sealed_length)), *content = NULL;
	BIO *inside = must(BIO_new(BIO_s_mem())), *out = must(BIO_new(BIO_s_mem()));
	CMS_ContentInfo *cms = must(SMIME_read_CMS(in, NULL));
	char *text;

	hold(CMS_decrypt(cms, bob_key, bob, NULL, inside, CMS_BINARY));
	CMS_ContentInfo_free(cms);
	cms = must(SMIME_read_CMS(inside, &content));
	hold(CMS_verify(cms, NULL, store, content, out, CMS_BINARY));
	CMS_ContentInfo_free(cms);
	if (BIO_get_mem_data(out, &text) != entity_length || memcmp(text, entity, entity_length) != 0) {
		fputs("another content came out\n", stderr);
		exit(1);
	}
	BIO_free(in);
	BIO_free(inside);
	BIO_free(content);
	BIO_free(out);
}

int main(int argc, char **argv)
{
	char what[8];
	long n;

	if (argc != 4)
		return 2;
	alice = certificate(argv[1], "alice.pem");
	bob = certificate(argv[1], "bob.pem");
	middle = certificate(argv[1], "middle.pem");
	anchor = certificate(argv[1], "anchor.pem");
	alice_key = key(argv[1], "alice-key.pem");
	bob_key = key(argv[1], "bob-key.pem");
	entity = contents(argv[2], &entity_length);
	sealed = contents(argv[3], &sealed_length);
	store = must(X509_STORE_new());
	hold(X509_STORE_add_cert(store, anchor));
	chain = must(sk_X509_new_null());
	to = must(sk_X509_new_null());
	hold(sk_X509_push(chain, middle) > 0);
	hold(sk_X509_push(to, bob) > 0);
	while (scanf("%7s %ld", what, &n) == 2) {
		struct timespec a, b;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		for (; n > 0; n--)
			strcmp(what, "seal") == 0 ? seal() : opened();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		printf("%lld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
