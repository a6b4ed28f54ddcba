#include "qkv/serve/tls.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"

namespace qkv {
namespace {

namespace ssl = boost::asio::ssl;

// What OpenSSL says of a file that it does not take is for programmers.
template <typename Use>
void use_file(const std::string& path, const std::string& content, const char* hint, Use&& use) {
  try {
    use(boost::asio::buffer(content));
  } catch (const boost::system::system_error& error) {
    throw Error(path, fmt::format("cannot be used for TLS: {}", error.code().message()), hint);
  }
}

}  // namespace

std::unique_ptr<ssl::context> tls_context(const std::string& certificate, const std::string& key) {
  auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION);
  // Idle connections need no buffers.
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  // Nobody is asked for a password.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); });
  constexpr uint64_t largest = 1 << 20;
  use_file(certificate, read_file(certificate, largest), "give a certificate, or a chain of them, as PEM",
           [&](const auto& bytes) { context->use_certificate_chain(bytes); });
  use_file(key, read_file(key, largest), "give the certificate's private key as PEM, without a password",
           [&](const auto& bytes) { context->use_private_key(bytes, ssl::context::pem); });
  return context;
}

}  // namespace qkv
