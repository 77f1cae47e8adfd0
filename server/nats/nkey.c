/* nats/nkey: base32, a checksum, and Ed25519 of OpenSSL. */
#include "server/nats/nkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

enum {
    KEY_BYTES = 32,
    CHECKSUM_BYTES = 2,
    SEED_BYTES = 2 + KEY_BYTES + CHECKSUM_BYTES, /* behind what it is, and whose */
    PUBLIC_BYTES = 1 + KEY_BYTES + CHECKSUM_BYTES,
    PREFIX_SEED = 18 << 3, /* S, in the first five bits */
    PREFIX_USER = 20 << 3  /* U */
};

/* ---- base32 (RFC 4648), without padding ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool decode(const char *text, size_t size, unsigned char *bytes)
{
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < size; i++) {
        const char *letter = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!letter)
            return false;
        held = (held << 5 | (unsigned) (letter - alphabet)) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            *bytes++ = (unsigned char) (held >> bits);
        }
    }
    return true;
}

static void encode(const unsigned char *bytes, size_t size, char *text)
{
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < size; i++) {
        held = (held << 8 | bytes[i]) & 0xfff;
        for (bits += 8; bits >= 5; *text++ = alphabet[held >> bits & 31])
            bits -= 5;
    }
    *text = '\0';
}

/* CRC-16/XMODEM. */
static uint16_t checksum(const unsigned char *bytes, size_t size)
{
    unsigned crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned) bytes[i] << 8;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t) crc;
}

/* ---- keys ---- */

/* The private key in a seed. NULL: it is none of a user. */
static EVP_PKEY *read_seed(const char *seed, size_t size)
{
    unsigned char bytes[SEED_BYTES];
    EVP_PKEY *key = NULL;
    if (size != NKEY_SEED_SIZE || !decode(seed, size, bytes))
        return NULL;
    unsigned sum = checksum(bytes, sizeof bytes - CHECKSUM_BYTES);
    bool is_right = bytes[SEED_BYTES - 2] == (sum & 0xff) && bytes[SEED_BYTES - 1] == sum >> 8;
    unsigned whose = (bytes[0] & 7U) << 5 | bytes[1] >> 3;
    if (is_right && (bytes[0] & 0xf8) == PREFIX_SEED && whose == PREFIX_USER)
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes + 2, KEY_BYTES);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return key;
}

bool nkey_public(const char *seed, size_t size, char text[NKEY_PUBLIC_SIZE + 1])
{
    unsigned char bytes[PUBLIC_BYTES] = {PREFIX_USER};
    size_t length = KEY_BYTES;
    EVP_PKEY *key = read_seed(seed, size);
    bool done = key && EVP_PKEY_get_raw_public_key(key, bytes + 1, &length) == 1;
    EVP_PKEY_free(key);
    unsigned sum = checksum(bytes, sizeof bytes - CHECKSUM_BYTES);
    bytes[PUBLIC_BYTES - 2] = (unsigned char) sum;
    bytes[PUBLIC_BYTES - 1] = (unsigned char) (sum >> 8);
    encode(bytes, sizeof bytes, text);
    return done;
}

bool nkey_sign(const char *seed, const char *text, unsigned char signature[NKEY_SIGNATURE_SIZE])
{
    size_t length = NKEY_SIGNATURE_SIZE;
    EVP_PKEY *key = read_seed(seed, strlen(seed));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &length, (const unsigned char *) text,
                               strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return done;
}
