#include "qkv/io/safetensors_header.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"

namespace qkv {
namespace {

// Receives the parser's events. The grammar is small and closed, so the place in it is one enum.
class HeaderReader : public Json::json_sax_t {
 public:
  HeaderReader(const std::string& where, const std::function<void(Safetensors::Entry&&)>& tensor,
               const std::function<void(const std::string&, std::string&&)>& metadata)
      : where_(where), tensor_(tensor), metadata_(metadata) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text.substr(0, 40)); }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::sizes) {
      if (value > max_size) fail(fmt::format("has a dimension of size {}", value));
      if (sizes_.size() == Shape::max_rank) fail(fmt::format("has more than {} dimensions", Shape::max_rank));
      sizes_.push_back(static_cast<int64_t>(value));
    } else if (place_ == Place::offsets) {
      if (offset_count_ == 2) fail("\"data_offsets\" has more than two numbers");
      (offset_count_++ == 0 ? entry_.begin : entry_.end) = value;
    } else {
      return unexpected(std::to_string(value));
    }
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::dtype) {
      try {
        entry_.dtype = dtype_named(text);
      } catch (const Error&) {
        throw Error(here(), fmt::format("has element type {}, which is not supported", text.substr(0, 40)),
                    "save the checkpoint as F32, BF16 or F16");
      }
      place_ = Place::field;
    } else if (place_ == Place::metadata_value) {
      metadata_(key_, std::move(text));
      place_ = Place::metadata_key;
    } else {
      return unexpected("a string");
    }
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::start) {
      place_ = Place::name;
    } else if (place_ == Place::entry) {
      place_ = entry_.name == "__metadata__" ? Place::metadata_key : Place::field;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool key(string_t& text) override {
    if (place_ == Place::name) {
      entry_ = {};
      entry_.name = std::move(text);
      sizes_.clear();
      has_dtype_ = has_shape_ = has_offsets_ = false;
      offset_count_ = 0;
      place_ = Place::entry;
    } else if (place_ == Place::metadata_key) {
      key_ = std::move(text);
      place_ = Place::metadata_value;
    } else if (text == "dtype") {
      enter(Place::dtype, has_dtype_);
    } else if (text == "shape") {
      enter(Place::shape, has_shape_);
    } else if (text == "data_offsets") {
      enter(Place::data_offsets, has_offsets_);
    } else {
      fail(fmt::format("has an unknown field \"{}\"", text.substr(0, 40)));
    }
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::shape) {
      place_ = Place::sizes;
    } else if (place_ == Place::data_offsets) {
      place_ = Place::offsets;
    } else {
      return unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    place_ = Place::field;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::field) {
      if (!has_dtype_) fail("has no \"dtype\"");
      if (!has_shape_) fail("has no \"shape\"");
      if (offset_count_ != 2) fail("has no two \"data_offsets\"");
      entry_.shape = Shape(sizes_);
      tensor_(std::move(entry_));
    }
    place_ = place_ == Place::name ? Place::end : Place::name;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    throw Error(where_, fmt::format("the header is not valid JSON at its byte {}", position), damaged_hint);
  }

 private:
  enum class Place {
    start,
    name,
    entry,
    field,
    dtype,
    shape,
    sizes,
    data_offsets,
    offsets,
    metadata_key,
    metadata_value,
    end
  };
  static constexpr uint64_t max_size = uint64_t{1} << 62;

  std::string here() const {
    return place_ == Place::start || place_ == Place::end ? where_ : tensor_place(where_, entry_.name);
  }
  [[noreturn]] void fail(std::string_view what) const { throw Error(here(), what, damaged_hint); }
  bool unexpected(std::string_view what) const {
    switch (place_) {
      case Place::start:
        fail(fmt::format("the header is {}, not an object", what));
      case Place::dtype:
        fail(fmt::format("\"dtype\" is {}, not a string", what));
      case Place::shape:
      case Place::sizes:
        fail(fmt::format("\"shape\" has {} where a size belongs", what));
      case Place::data_offsets:
      case Place::offsets:
        fail(fmt::format("\"data_offsets\" has {} where an offset belongs", what));
      case Place::metadata_value:
        fail(fmt::format("\"{}\" is {}, not a string", key_.substr(0, 40), what));
      default:
        fail(fmt::format("is {}, not an object", what));
    }
  }
  void enter(Place place, bool& seen) {
    if (seen) fail("repeats a field");
    seen = true;
    place_ = place;
  }

  const std::string& where_;
  const std::function<void(Safetensors::Entry&&)>& tensor_;
  const std::function<void(const std::string&, std::string&&)>& metadata_;
  Place place_ = Place::start;
  Safetensors::Entry entry_;
  std::vector<int64_t> sizes_;
  int offset_count_ = 0;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::string key_;
};

}  // namespace

void read_safetensors_header(std::string_view text, const std::string& where,
                             const std::function<void(Safetensors::Entry&&)>& tensor,
                             const std::function<void(const std::string&, std::string&&)>& metadata) {
  // The JSON parser would take a NUL for the end of its input.
  if (text.find('\0') != std::string_view::npos) throw Error(where, "the header has a NUL byte", damaged_hint);
  HeaderReader reader(where, tensor, metadata);
  Json::sax_parse(text, &reader);
}

}  // namespace qkv
