#include "common/base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/mem.h"

#define CHUNK ((size_t)1 << 20)

static void hex(const unsigned char *bytes, unsigned n, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < n; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * n] = '\0';
}

int sha256_bytes(const void *data, size_t n, char ret_hex[SHA256_HEX], struct err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(data, n, sum, &length, EVP_sha256(), NULL) || length != 32) {
        return err_set(err, ERR_NOMEM, "SHA-256 failed");
    }
    hex(sum, length, ret_hex);
    return 0;
}

int sha1_bytes(const void *data, size_t n, char ret_hex[41], struct err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(data, n, sum, &length, EVP_sha1(), NULL) || length != 20) {
        return err_set(err, ERR_NOMEM, "SHA-1 failed");
    }
    hex(sum, length, ret_hex);
    return 0;
}

int sha256_begin(struct sha256 **ret, struct err *err)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(digest);
        return err_set(err, ERR_NOMEM, "SHA-256 cannot start");
    }
    *ret = (struct sha256 *)digest;
    return 0;
}

int sha256_add(struct sha256 *sum, const void *data, size_t n, struct err *err)
{
    return EVP_DigestUpdate((EVP_MD_CTX *)sum, data, n)
               ? 0
               : err_set(err, ERR_NOMEM, "SHA-256 failed");
}

int sha256_end(struct sha256 **sum, char *ret_hex, struct err *err)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *digest = (EVP_MD_CTX *)*sum;
    bool ok = !ret_hex || EVP_DigestFinal_ex(digest, bytes, &length);
    EVP_MD_CTX_free(digest);
    *sum = NULL;
    if (!ok) {
        return err_set(err, ERR_NOMEM, "SHA-256 failed");
    }
    if (ret_hex) {
        hex(bytes, length, ret_hex);
    }
    return 0;
}

/* Feed the whole file to the digest. */
static int add_fd(struct sha256 *sum, int fd, const char *name, unsigned char *chunk,
                  uint64_t *ret_bytes, struct err *err)
{
    uint64_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, chunk, CHUNK, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
        }
        if (n == 0) {
            *ret_bytes = at;
            return 0;
        }
        int code = sha256_add(sum, chunk, (size_t)n, err);
        if (code) {
            return code;
        }
        at += (uint64_t)n;
    }
}

int sha256_fd(int fd, const char *name, char ret_hex[SHA256_HEX], uint64_t *ret_bytes,
              struct err *err)
{
    char text[SHA256_HEX];
    uint64_t bytes = 0;
    struct sha256 *sum = NULL;
    unsigned char *chunk = mem_alloc(CHUNK, 1, err);
    int code = chunk ? sha256_begin(&sum, err) : ERR_NOMEM;
    code = code ? code : add_fd(sum, fd, name, chunk, &bytes, err);
    int ended = sha256_end(&sum, code ? NULL : text, err);
    code = code ? code : ended;
    free(chunk);
    if (!code) {
        memcpy(ret_hex, text, sizeof text);
        if (ret_bytes) {
            *ret_bytes = bytes;
        }
    }
    return code;
}

int sha256_file(const char *path, char ret_hex[SHA256_HEX], uint64_t *ret_bytes,
                struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    int code = 0;
    if (fstat(fd, &st)) {
        code = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        code = err_set(err, ERR_INPUT, "%s: not a regular file", path);
    } else {
        code = sha256_fd(fd, path, ret_hex, ret_bytes, err);
    }
    close(fd);
    return code;
}
